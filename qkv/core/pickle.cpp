#include "qkv/core/pickle.h"

#include "qkv/core/byte_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace qkv {
namespace {

// A vocabulary of 270,000 words takes a tenth of these; memory stays below a gigabyte.
constexpr size_t max_opcodes = 8'000'000;
constexpr size_t max_values = 4'000'000;

constexpr std::string_view attack_hint =
    "data needs nothing of the kind, so the file may be an attack: take it from a source you trust, best as "
    "safetensors";

enum Opcode : uint8_t {
  op_proto = 0x80,
  op_frame = 0x95,
  op_stop = '.',
  op_mark = '(',
  op_pop = '0',
  op_none = 'N',
  op_true = 0x88,
  op_false = 0x89,
  op_bin_int = 'J',
  op_bin_int1 = 'K',
  op_bin_int2 = 'M',
  op_long1 = 0x8a,
  op_bin_float = 'G',
  op_bin_string = 'T',
  op_short_bin_string = 'U',
  op_bin_unicode = 'X',
  op_short_bin_unicode = 0x8c,
  op_bin_unicode8 = 0x8d,
  op_bin_bytes = 'B',
  op_short_bin_bytes = 'C',
  op_bin_bytes8 = 0x8e,
  op_empty_list = ']',
  op_append = 'a',
  op_appends = 'e',
  op_empty_tuple = ')',
  op_tuple = 't',
  op_tuple1 = 0x85,
  op_tuple2 = 0x86,
  op_tuple3 = 0x87,
  op_empty_dict = '}',
  op_set_item = 's',
  op_set_items = 'u',
  op_global = 'c',
  op_stack_global = 0x93,
  op_reduce = 'R',
  op_new_object = 0x81,
  op_build = 'b',
  op_bin_persistent_id = 'Q',
  op_bin_get = 'h',
  op_long_bin_get = 'j',
  op_bin_put = 'q',
  op_long_bin_put = 'r',
  op_memoize = 0x94,
};

// The names of opcodes that are refused, for the message.
std::string name_of_refused(uint8_t opcode) {
  switch (opcode) {
    case 'i':
      return "INST";
    case 'o':
      return "OBJ";
    case 'P':
      return "PERSID";
    case 'I':
      return "INT";
    case 'L':
      return "LONG";
    case 'F':
      return "FLOAT";
    case 'S':
      return "STRING";
    case 'V':
      return "UNICODE";
    case 'p':
      return "PUT";
    case 'g':
      return "GET";
    case 'l':
      return "LIST";
    case 'd':
      return "DICT";
    case '2':
      return "DUP";
    case '1':
      return "POP_MARK";
    case 0x82:
      return "EXT1";
    case 0x83:
      return "EXT2";
    case 0x84:
      return "EXT4";
    case 0x8b:
      return "LONG4";
    case 0x8f:
      return "EMPTY_SET";
    case 0x90:
      return "ADDITEMS";
    case 0x91:
      return "FROZENSET";
    case 0x92:
      return "NEWOBJ_EX";
    case 0x96:
      return "BYTEARRAY8";
    case 0x97:
      return "NEXT_BUFFER";
    case 0x98:
      return "READONLY_BUFFER";
    default:
      return fmt::format("0x{:02x}", opcode);
  }
}

}  // namespace

class PickleMachine {
 public:
  using Value = Pickle::Value;
  using Kind = Value::Kind;

  PickleMachine(Pickle& pickle, std::string_view bytes, const std::string& where,
                std::span<const std::string_view> allowed)
      : values_(pickle.values_), bytes_(bytes), reader_(bytes, where, "the pickle"), where_(where), allowed_(allowed) {}

  // Runs to STOP and returns what is then on the stack.
  const Value* run() {
    for (size_t count = 0;; ++count) {
      if (count == max_opcodes) fail(fmt::format("has more than {} opcodes", max_opcodes), damaged_hint);
      opcode_at_ = reader_.position();
      const auto opcode = static_cast<uint8_t>(reader_.take(1)[0]);
      if (opcode == op_stop) return pop();
      step(opcode);
    }
  }
  size_t position() const { return reader_.position(); }

 private:
  [[noreturn]] void fail(const std::string& what, std::string_view hint) const {
    throw Error(where_, fmt::format("the pickle's byte {}: {}", opcode_at_, what), hint);
  }

  std::string_view line() {
    const size_t end = bytes_.find('\n', reader_.position());
    if (end == std::string_view::npos) fail("a line has no end", damaged_hint);
    const std::string_view text = reader_.take(end - reader_.position());
    reader_.take(1);
    return text;
  }

  Value* make(Kind kind) {
    if (values_.size() == max_values) fail(fmt::format("makes more than {} values", max_values), damaged_hint);
    values_.emplace_back().kind = kind;
    return &values_.back();
  }
  Value* push(Kind kind) { return stack_.emplace_back(make(kind)); }
  void push_integer(int64_t value) { push(Kind::integer)->integer = value; }
  void push_text(Kind kind, std::string_view text) { push(kind)->text = text; }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Value* pop() {
    if (stack_.size() <= floor()) fail("takes a value where there is none", damaged_hint);
    Value* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Value* top(Kind kind, const char* name) {
    if (stack_.size() <= floor() || !stack_.back()->is(kind))
      fail(fmt::format("there is no {} here", name), damaged_hint);
    return stack_.back();
  }
  // What lies above the last mark.
  std::vector<Value*> pop_marked() {
    if (marks_.empty()) fail("looks for a mark that was never made", damaged_hint);
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<Value*> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void tuple(size_t size) {
    std::vector<Value*> items(size);
    for (size_t i = size; i > 0; --i) items[i - 1] = pop();
    push(Kind::tuple)->items = std::move(items);
  }
  void set_items(const std::vector<Value*>& items) {
    Value* dict = top(Kind::dict, "dictionary");
    if (items.size() % 2 != 0) fail("gives a key no value", damaged_hint);
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }
  void global(std::string_view module, std::string_view name) {
    const std::string full = fmt::format("{}.{}", module, name);
    const auto found = std::find(allowed_.begin(), allowed_.end(), full);
    if (found == allowed_.end())
      fail(fmt::format("asks for Python's {}, which is not allowed", full.substr(0, 200)), attack_hint);
    push_text(Kind::global, *found);
  }
  // The one class whose instances are data like any other: a dictionary that remembers its order.
  void ordered_dict(const Value& arguments) {
    std::vector<Value*> items;
    if (!arguments.items.empty()) {
      if (arguments.items.size() > 1 || !arguments.items[0]->is(Kind::list))
        fail("makes an OrderedDict of something other than a list", damaged_hint);
      for (const Value* pair : arguments.items[0]->items) {
        if (pair->items.size() != 2 || !(pair->is(Kind::list) || pair->is(Kind::tuple)))
          fail("makes an OrderedDict of something other than pairs", damaged_hint);
        items.insert(items.end(), pair->items.begin(), pair->items.end());
      }
    }
    push(Kind::dict)->items = std::move(items);
  }
  void call() {
    Value* arguments = pop();
    Value* callable = pop();
    if (!callable->is(Kind::global)) fail("calls something that is not a global", attack_hint);
    if (!arguments->is(Kind::tuple)) fail("calls with something other than a tuple of arguments", damaged_hint);
    if (callable->text == "collections.OrderedDict") return ordered_dict(*arguments);
    push(Kind::call)->items = {callable, arguments};
  }
  void remember(uint32_t key) {
    if (stack_.size() <= floor()) fail("remembers a value where there is none", damaged_hint);
    memo_[key] = stack_.back();
  }
  void recall(uint32_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail(fmt::format("recalls value {}, which it never remembered", key), damaged_hint);
    stack_.push_back(found->second);
  }
  void long_integer() {
    const std::string_view digits = reader_.take(reader_.number<uint8_t>());
    if (digits.size() > 8) fail(fmt::format("has an integer of {} bytes", digits.size()), damaged_hint);
    uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;  // two's complement
    std::memcpy(&value, digits.data(), digits.size());
    push_integer(static_cast<int64_t>(value));
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case op_proto:
        if (const auto version = reader_.number<uint8_t>(); version < 2 || version > 5)
          fail(fmt::format("is of protocol {}; 2 to 5 are read", version), damaged_hint);
        return;
      case op_frame:
        if (reader_.number<uint64_t>() > reader_.left()) fail("a frame is longer than the file", damaged_hint);
        return;
      case op_mark:
        marks_.push_back(stack_.size());
        return;
      case op_pop:
        pop();
        return;
      case op_none:
        push(Kind::none);
        return;
      case op_true:
      case op_false:
        push(Kind::boolean)->integer = opcode == op_true;
        return;
      case op_bin_int:
        return push_integer(reader_.number<int32_t>());
      case op_bin_int1:
        return push_integer(reader_.number<uint8_t>());
      case op_bin_int2:
        return push_integer(reader_.number<uint16_t>());
      case op_long1:
        return long_integer();
      case op_bin_float:
        push(Kind::real)->real = std::bit_cast<double>(__builtin_bswap64(reader_.number<uint64_t>()));
        return;
      case op_bin_string:
      case op_bin_unicode:
        return push_text(Kind::text, reader_.take(reader_.number<uint32_t>()));
      case op_short_bin_string:
      case op_short_bin_unicode:
        return push_text(Kind::text, reader_.take(reader_.number<uint8_t>()));
      case op_bin_unicode8:
        return push_text(Kind::text, reader_.take(reader_.number<uint64_t>()));
      case op_bin_bytes:
        return push_text(Kind::bytes, reader_.take(reader_.number<uint32_t>()));
      case op_short_bin_bytes:
        return push_text(Kind::bytes, reader_.take(reader_.number<uint8_t>()));
      case op_bin_bytes8:
        return push_text(Kind::bytes, reader_.take(reader_.number<uint64_t>()));
      default:
        return step_with_stack(opcode);
    }
  }

  void step_with_stack(uint8_t opcode) {
    switch (opcode) {
      case op_empty_list:
        push(Kind::list);
        return;
      case op_append: {
        Value* item = pop();
        top(Kind::list, "list")->items.push_back(item);
        return;
      }
      case op_appends: {
        const std::vector<Value*> items = pop_marked();
        Value* list = top(Kind::list, "list");
        list->items.insert(list->items.end(), items.begin(), items.end());
        return;
      }
      case op_empty_tuple:
        return tuple(0);
      case op_tuple1:
      case op_tuple2:
      case op_tuple3:
        return tuple(static_cast<size_t>(opcode - op_tuple1) + 1);
      case op_tuple: {
        std::vector<Value*> items = pop_marked();
        push(Kind::tuple)->items = std::move(items);
        return;
      }
      case op_empty_dict:
        push(Kind::dict);
        return;
      case op_set_item: {
        Value* value = pop();
        Value* key = pop();
        return set_items({key, value});
      }
      case op_set_items:
        return set_items(pop_marked());
      case op_global: {
        const std::string_view module = line();
        return global(module, line());
      }
      case op_stack_global: {
        const Value* name = pop();
        const Value* module = pop();
        if (!name->is(Kind::text) || !module->is(Kind::text)) fail("a global's name is not text", damaged_hint);
        return global(module->text, name->text);
      }
      case op_reduce:
      case op_new_object:
        return call();
      case op_build:  // attributes of an object: none of those that data needs have any that matter
        pop();
        if (stack_.size() <= floor()) fail("gives attributes to nothing", damaged_hint);
        return;
      case op_bin_persistent_id: {
        Value* id = pop();
        push(Kind::persistent)->items = {id};
        return;
      }
      case op_bin_put:
        return remember(reader_.number<uint8_t>());
      case op_long_bin_put:
        return remember(reader_.number<uint32_t>());
      case op_memoize:
        return remember(static_cast<uint32_t>(memo_.size()));
      case op_bin_get:
        return recall(reader_.number<uint8_t>());
      case op_long_bin_get:
        return recall(reader_.number<uint32_t>());
      default:
        fail(fmt::format("the opcode {} is not allowed", name_of_refused(opcode)), attack_hint);
    }
  }

  std::deque<Value>& values_;
  std::string_view bytes_;
  ByteReader reader_;
  const std::string& where_;
  std::span<const std::string_view> allowed_;
  size_t opcode_at_ = 0;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Value*> memo_;
};

const Pickle::Value* Pickle::Value::find(std::string_view key) const {
  if (kind != Kind::dict) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i]->is(Kind::text) && items[i]->text == key) return items[i + 1];
  return nullptr;
}

Pickle::Pickle(std::string_view bytes, std::string where, std::span<const std::string_view> allowed) {
  PickleMachine machine(*this, bytes, where, allowed);
  root_ = machine.run();
  length_ = machine.position();
}

}  // namespace qkv
