// Reading protocol buffers' wire format, field by field, without a schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace qkv {

class ProtobufReader {
 public:
  // `where` names the message in errors.
  ProtobufReader(std::string_view message, std::string where) : rest_(message), where_(std::move(where)) {}

  // Moves to the next field; false at the end. Throws Error for a message that is cut off or malformed.
  bool next();

  uint32_t field() const { return field_; }
  // The field's value; Error when it is of another type. Numbers are in two's complement.
  int64_t integer() const;
  bool boolean() const { return integer() != 0; }
  float number() const;             // float
  uint32_t word() const;            // fixed32
  std::string_view bytes() const;   // bytes, a string, or a message
  std::string_view string() const;  // valid UTF-8

 private:
  enum Wire : uint8_t { varint = 0, fixed64 = 1, length_delimited = 2, fixed32 = 5 };

  uint64_t read_varint();
  std::string_view take(uint64_t bytes);
  void require(Wire wire) const;
  [[noreturn]] void fail(std::string_view what) const;

  std::string_view rest_;
  std::string where_;
  uint32_t field_ = 0;
  uint8_t wire_ = varint;
  uint64_t integer_ = 0;
  std::string_view bytes_;
};

}  // namespace qkv
