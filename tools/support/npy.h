// The header of a NumPy file: a float32 matrix in row-major order.
#pragma once

#include <cstdint>
#include <string>

namespace qkv {

// 128 bytes whatever the sizes, so that it can be written before the number of rows is known and once more after
// (NEP 1, version 1.0).
std::string npy_header(int64_t rows, int64_t columns);

}  // namespace qkv
