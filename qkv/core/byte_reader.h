// Little-endian numbers and pieces of an untrusted file, one after the other.
#pragma once

#include "qkv/core/error.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace qkv {

inline constexpr std::string_view damaged_hint = "the file is damaged or incomplete: fetch it again";

class ByteReader {
 public:
  static_assert(std::endian::native == std::endian::little, "file formats here are little endian");

  // `where` names the file, `what` the part of it that is read, for the message.
  ByteReader(std::string_view bytes, std::string where, std::string what)
      : bytes_(bytes), where_(std::move(where)), what_(std::move(what)) {}

  // These throw Error when less is left.
  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_)
      throw Error(where_, fmt::format("{} is cut off: {} bytes where {} are needed", what_, bytes_.size() - at_, count),
                  damaged_hint);
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  template <typename T>
  T number() {
    T value{};
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  uint16_t u16() { return number<uint16_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }

  size_t position() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

 private:
  std::string_view bytes_;
  std::string where_, what_;
  size_t at_ = 0;
};

}  // namespace qkv
