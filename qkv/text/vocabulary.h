// Tokens and their ids, both ways.
#pragma once

#include "qkv/text/hash.h"
#include "qkv/text/json_cursor.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class Vocabulary {
 public:
  static constexpr int32_t none = -1;
  static constexpr int64_t largest_id = (1 << 24) - 1;  // bounds the memory that a bad file can ask for

  // Throws Error naming `where` for an id that is taken or out of range, or a token that is there already.
  void add(std::string_view token, int64_t id, std::string_view where);

  void reserve(int64_t tokens);

  int32_t find(std::string_view token) const;  // none when absent
  // The token's text; "" for an id without a token.
  std::string_view token(int64_t id) const;
  bool has(int64_t id) const { return id >= 0 && id < id_end() && present_[id]; }

  int64_t size() const { return count_; }                                  // tokens
  int64_t id_end() const { return static_cast<int64_t>(tokens_.size()); }  // one more than the largest id
  size_t longest_token() const { return longest_; }                        // bytes

  // {"token": id, ...}. Ids may leave gaps, as some published vocabularies do.
  static Vocabulary parse(const JsonCursor& json);

 private:
  void index(int32_t id);
  void grow(size_t slots);

  std::vector<std::string> tokens_;
  std::vector<bool> present_;
  std::vector<int32_t> slots_;  // open addressing; ids
  int64_t count_ = 0;
  size_t longest_ = 0;
};

}  // namespace qkv
