#include "qkv/io/gguf_value.h"

#include <utility>

namespace qkv {
namespace {

constexpr std::pair<DType, uint32_t> type_numbers[] = {
    {DType::f32, 0},     {DType::f16, 1},   {DType::q4_0, 2},  {DType::q4_1, 3},  {DType::q5_0, 6},  {DType::q5_1, 7},
    {DType::q8_0, 8},    {DType::q2_k, 10}, {DType::q3_k, 11}, {DType::q4_k, 12}, {DType::q5_k, 13}, {DType::q6_k, 14},
    {DType::iq4_nl, 20}, {DType::i32, 26},  {DType::i64, 27},  {DType::bf16, 30}};

}  // namespace

std::optional<uint32_t> gguf_number(DType type) {
  for (const auto& [ours, number] : type_numbers)
    if (ours == type) return number;
  return std::nullopt;
}

std::optional<DType> gguf_dtype(uint32_t number) {
  for (const auto& [ours, theirs] : type_numbers)
    if (theirs == number) return ours;
  return std::nullopt;
}

}  // namespace qkv
