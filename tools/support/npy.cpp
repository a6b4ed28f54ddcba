#include "tools/support/npy.h"

#include <fmt/format.h>

#include <bit>

namespace qkv {

std::string npy_header(int64_t rows, int64_t columns) {
  static_assert(std::endian::native == std::endian::little);
  constexpr size_t length = 128;
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(length - 10);
  header += '\0';
  header += fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  header.resize(length - 1, ' ');
  return header + '\n';
}

}  // namespace qkv
