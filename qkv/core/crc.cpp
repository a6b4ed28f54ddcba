#include "qkv/core/crc.h"

#include <array>
#include <cstring>

namespace qkv {
namespace {

// table[k][b]: the remainder of byte b followed by k zero bytes, so that eight bytes are taken at once
// (Kounavis and Berry 2005, "slicing by eight"). Polynomials stand bit-reversed, as the bits of a byte come lowest
// first.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables tables_of(uint32_t polynomial) {
  Tables table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1U) != 0 ? polynomial : 0);
    table[0][byte] = rest;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte)
      table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xffU];
  return table;
}

uint32_t check(const Tables& table, std::string_view bytes, uint32_t before) {
  uint32_t rest = ~before;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    word ^= rest;
    rest = 0;
    for (size_t k = 0; k < 8; ++k) rest ^= table[7 - k][(word >> (8 * k)) & 0xffU];
  }
  for (; left > 0; --left, ++at) rest = (rest >> 8) ^ table[0][(rest ^ static_cast<uint8_t>(*at)) & 0xffU];
  return ~rest;
}

constexpr Tables zip_tables = tables_of(0xEDB88320U);
constexpr Tables castagnoli_tables = tables_of(0x82F63B78U);

}  // namespace

uint32_t crc32(std::string_view bytes, uint32_t before) { return check(zip_tables, bytes, before); }
uint32_t crc32c(std::string_view bytes, uint32_t before) { return check(castagnoli_tables, bytes, before); }

}  // namespace qkv
