#include "qkv/text/protobuf.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

#include <bit>
#include <cstring>

namespace qkv {

void ProtobufReader::fail(std::string_view what) const {
  throw Error(where_, fmt::format("{} (field {})", what, field_), "fetch the file again");
}

uint64_t ProtobufReader::read_varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) fail("is cut off");
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= uint64_t{byte & 0x7FU} << shift;
    if (!(byte & 0x80)) return value;
  }
  fail("has a number of more than 64 bits");
}

std::string_view ProtobufReader::take(uint64_t bytes) {
  if (bytes > rest_.size()) fail("is cut off");
  const std::string_view out = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return out;
}

bool ProtobufReader::next() {
  if (rest_.empty()) return false;
  const uint64_t key = read_varint();
  if (key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) fail("is not a protocol buffer");
  field_ = static_cast<uint32_t>(key >> 3);
  wire_ = key & 7;
  switch (wire_) {
    case varint:
      integer_ = read_varint();
      return true;
    case fixed64:
      bytes_ = take(8);
      return true;
    case length_delimited:
      bytes_ = take(read_varint());
      return true;
    case fixed32:
      bytes_ = take(4);
      return true;
    default:
      fail("is not a protocol buffer");
  }
}

void ProtobufReader::require(Wire wire) const {
  if (wire_ != wire) fail("has a value of an unexpected type");
}

int64_t ProtobufReader::integer() const {
  require(varint);
  return static_cast<int64_t>(integer_);
}

uint32_t ProtobufReader::word() const {
  require(fixed32);
  uint32_t value = 0;
  std::memcpy(&value, bytes_.data(), 4);
  return value;
}

float ProtobufReader::number() const { return std::bit_cast<float>(word()); }

std::string_view ProtobufReader::bytes() const {
  require(length_delimited);
  return bytes_;
}

std::string_view ProtobufReader::string() const {
  const std::string_view out = bytes();
  if (invalid_utf8(out) != std::string_view::npos) fail("has a string that is not valid UTF-8");
  return out;
}

}  // namespace qkv
