// What keys and values are kept as between steps: their own type, or one of fewer bits.
#pragma once

#include "qkv/models/spec.h"

#include <optional>
#include <string>

namespace qkv {

// "f32", "bf16" or "q8_0" (blocks of 32 numbers along each head, rounded as they are written; kernels/blocks.h); "" is
// none given: as the activations are.
std::optional<DType> cache_type_named(const std::string& name);

// Throws Error where this model cannot keep them so: its state is no keys and values, its attention looks at keys in
// ways that ask for their own type, or its heads are no multiple of a block.
void check_cache_type(const Spec& spec, std::optional<DType> type);

// Bytes of one position's keys and values in all layers. `compute`: the type of activations.
double cache_bytes_of_position(const Spec& spec, DType compute, std::optional<DType> type);

}  // namespace qkv
