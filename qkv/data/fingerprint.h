// A 64-bit name for the state of something (FNV-1a), to see whether it changed. Not for security.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace qkv {

class Fingerprint {
 public:
  Fingerprint& add(std::string_view bytes) {
    add(static_cast<uint64_t>(bytes.size()));  // so that "ab" + "c" and "a" + "bc" differ
    for (const char byte : bytes) step(static_cast<uint8_t>(byte));
    return *this;
  }
  Fingerprint& add(std::integral auto value) {
    for (int i = 0; i < 8; ++i) step(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i)));
    return *this;
  }
  uint64_t value() const { return value_; }

 private:
  void step(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }
  uint64_t value_ = 0xcbf29ce484222325ULL;
};

}  // namespace qkv
