#include "qkv/generate/cache_type.h"

#include "qkv/core/error.h"
#include "qkv/models/describe.h"

namespace qkv {

std::optional<DType> cache_type_named(const std::string& name) {
  if (name.empty()) return {};
  if (name == "q8_0") return DType::q8_0;
  return dtype_named(name);
}

void check_cache_type(const Spec& spec, std::optional<DType> type) {
  if (!type) return;
  for (int64_t i = 0; i < spec.stack.distinct(); ++i) {
    const BlockSpec& block = spec.stack.layer(i);
    if (block.state_space) throw Error("--cache", "this model's state is no keys and values", "leave --cache out");
    if (!block.attends() || block.attention.relative || block.attention.global)
      throw Error("--cache", "this model's attention takes keys and values in their own type alone",
                  "leave --cache out");
  }
  const int64_t head = spec.stack.block.attention.head_dim;
  if (head % block_length(*type) != 0)
    throw Error("--cache",
                fmt::format("{} has blocks of {} numbers, and this model's heads have {}", name_of(*type),
                            block_length(*type), head),
                "--cache bf16");
}

double cache_bytes_of_position(const Spec& spec, DType compute, std::optional<DType> type) {
  const DType kept = type.value_or(compute);
  return describe(spec).cache_numbers_per_token * static_cast<double>(block_bytes(kept)) /
         static_cast<double>(block_length(kept));
}

}  // namespace qkv
