// LevelDB's sorted tables (SSTables), which TensorFlow's checkpoints use as their index: blocks of key and value pairs
// with shared prefixes, an index of blocks, and a footer. Format: doc/table_format.md of github.com/google/leveldb.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace qkv {

// Calls `visit` for every pair in the table's order. Checks every length, offset and check sum; throws Error naming
// `where`. Blocks may be compressed with Snappy.
void read_sorted_table(std::string_view table, const std::string& where,
                       const std::function<void(std::string_view key, std::string_view value)>& visit);

// The bytes that Snappy compressed; Error when they are damaged or become more than `max_bytes`. Format:
// format_description.txt of github.com/google/snappy.
std::string decompress_snappy(std::string_view bytes, const std::string& where, size_t max_bytes);

// A check sum as LevelDB and TensorFlow store it, changed so that sums of data that holds sums differ.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace qkv
