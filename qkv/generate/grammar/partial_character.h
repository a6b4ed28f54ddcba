// A character whose UTF-8 bytes come one at a time.
#pragma once

#include "qkv/generate/grammar/grammar.h"

#include <cstdint>
#include <optional>

namespace qkv {

class PartialCharacter {
 public:
  // Behind one more byte; nothing where no character has these bytes. Behind the last one, range() is the character.
  std::optional<PartialCharacter> with(uint8_t byte) const {
    if (left_ > 0) {
      if ((byte & 0xC0) != 0x80) return {};
      // Only a first byte may have no bits: what follows must then be more than a shorter form could hold.
      const char32_t bits = bits_ << 6 | (byte & 0x3F);
      if (bits_ == 0 && bits < (left_ == 2 ? 0x20 : 0x10)) return {};
      return PartialCharacter(bits, left_ - 1);
    }
    if (byte < 0x80) return PartialCharacter(byte, 0);
    if (byte < 0xC2 || byte > 0xF4) return {};
    if (byte < 0xE0) return PartialCharacter(byte & 0x1F, 1);
    if (byte < 0xF0) return PartialCharacter(byte & 0x0F, 2);
    return PartialCharacter(byte & 0x07, 3);
  }

  bool whole() const { return left_ == 0; }
  // The characters that it may become. Surrogates and what is beyond the last character are not taken out.
  CharacterRange range() const {
    const char32_t first = bits_ << (6 * left_);
    const char32_t least = left_ == 2 ? 0x800 : left_ == 3 ? 0x10000 : 0;  // of a first byte without bits
    return {bits_ == 0 ? least : first, first + (char32_t{1} << (6 * left_)) - 1};
  }
  // A number for it; 0 when no byte is missing.
  uint32_t key() const { return left_ == 0 ? 0 : bits_ << 2 | left_; }

  PartialCharacter() = default;

 private:
  PartialCharacter(char32_t bits, uint32_t left) : bits_(bits), left_(left) {}
  char32_t bits_ = 0;
  uint32_t left_ = 0;  // bytes that are missing
};

}  // namespace qkv
