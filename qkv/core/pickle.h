// Python's pickles from untrusted files, read as data. A pickle is a program for a stack machine that may import and
// call anything; here nothing is imported, called or constructed. What it would call stands in the result as a call,
// for the reader to recognise. Specification: Python's Lib/pickletools.py, protocols 2 to 5.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class Pickle {
 public:
  struct Value {
    enum class Kind : uint8_t {
      none,
      boolean,
      integer,
      real,
      text,
      bytes,
      list,
      tuple,
      dict,        // also an OrderedDict. items: key, value, key, value, ...
      global,      // text: "module.name", one of those allowed
      call,        // items: what it would call, and the tuple of arguments
      persistent,  // items: the id of something that lies outside the pickle
    };
    Kind kind = Kind::none;
    int64_t integer = 0;  // also a boolean's
    double real = 0;
    std::string_view text;      // on the pickle's own bytes
    std::vector<Value*> items;  // may lead back to where one came from: pickles can describe cycles

    bool is(Kind wanted) const { return kind == wanted; }
    bool is_global(std::string_view name) const { return kind == Kind::global && text == name; }
    bool is_call(std::string_view name) const { return kind == Kind::call && items[0]->is_global(name); }
    // A dictionary's value for a key of text; null without one, or where this is no dictionary.
    const Value* find(std::string_view key) const;
  };

  // Reads one pickle from the front of `bytes`, which must outlive this object. `allowed` lists the globals that it may
  // name, as "module.name". Throws Error naming `where` and the byte for any other global, for an opcode outside the
  // list of those that data needs, and for a pickle that is damaged or unreasonably large.
  Pickle(std::string_view bytes, std::string where, std::span<const std::string_view> allowed);

  const Value& root() const { return *root_; }
  const std::deque<Value>& values() const { return values_; }  // everything in it, in the order of making
  size_t length() const { return length_; }                    // where the next thing in `bytes` begins

 private:
  friend class PickleMachine;
  std::deque<Value> values_;  // all of them, so that freeing a deeply nested value needs no deep recursion
  const Value* root_ = nullptr;
  size_t length_ = 0;
};

}  // namespace qkv
