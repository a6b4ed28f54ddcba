// Cyclic redundancy checks of file formats, 32 bits.
#pragma once

#include <cstdint>
#include <string_view>

namespace qkv {

// Of `bytes`, continuing from the check of what came before. zip, gzip, PNG (polynomial 0x04C11DB7).
uint32_t crc32(std::string_view bytes, uint32_t before = 0);
// The same with Castagnoli's polynomial, 0x1EDC6F41: LevelDB tables, TensorFlow's files.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace qkv
