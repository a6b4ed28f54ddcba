// Guessing how a text goes on by what followed the last time (Saxena 2023, "Prompt lookup decoding").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

// What followed the latest earlier place where the last tokens of `ids` stood, at most `count` tokens; the longest end
// of four to two tokens counts. Empty where there is none.
std::vector<int32_t> look_up(std::span<const int32_t> ids, int64_t count);

}  // namespace qkv
