// Builds sorted tables around given blocks, with right check sums, for tests and fuzzing.
#pragma once

#include "qkv/io/sorted_table.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv::table_builder {

inline std::string varint(uint64_t number) {
  std::string out;
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80U);
  return out + static_cast<char>(number);
}

template <typename T>
std::string raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

// Pairs without shared prefixes.
inline std::string block(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) out += varint(0) + varint(key.size()) + varint(value.size()) + key + value;
  return out + raw<uint32_t>(0) + raw<uint32_t>(1);
}

// A table whose only block has these bytes.
inline std::string table_of(std::string_view block_bytes, char compression = 0) {
  std::string out;
  const auto add = [&out](std::string_view bytes, char kind) {
    const std::string handle = varint(out.size()) + varint(bytes.size());
    const std::string stored = std::string(bytes) + kind;
    out += stored + raw(masked_crc32c(stored));
    return handle;
  };
  const std::string handle = add(block_bytes, compression);
  std::string footer = add(block({}), 0);
  footer += add(block({{"\xff", handle}}), 0);
  footer.resize(40);
  return out + footer + raw<uint64_t>(0xdb4775248b80fb57);
}

// A field of a protocol buffer.
inline std::string field(uint64_t number, uint64_t value) { return varint(number << 3) + varint(value); }
inline std::string field(uint64_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

}  // namespace qkv::table_builder
