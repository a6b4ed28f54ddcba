// JSON from untrusted files: size and depth are bounded before the parser recurses, and errors name the file.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string_view>

// Its members are compiled once, in json.cpp.
extern template class nlohmann::basic_json<>;

namespace qkv {

using Json = nlohmann::json;

// Parses UTF-8 text. Throws Error naming `where` on a syntax error (with line and column), on nesting deeper
// than `max_depth`, and on invalid UTF-8.
Json parse_json(std::string_view text, std::string_view where, int max_depth = 64);

// Reads and parses a file; throws when it is missing or larger than `max_bytes`.
Json read_json(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{512} << 20);

}  // namespace qkv
