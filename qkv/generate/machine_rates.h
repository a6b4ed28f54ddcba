// What this machine does in a second, measured for a moment on the kernels that a model will run.
#pragma once

#include "qkv/models/spec.h"

#include <cstdint>
#include <optional>

namespace qkv {

// Bytes a second that all threads together read from memory, from a block of so many bytes.
double read_bandwidth(uint64_t bytes);

struct ProductRate {
  double seconds_a_call = 0;  // of a product so small that it is nothing but a call
  double bytes_a_second = 0;  // of the weight, for few rows
  double flops_a_second = 0;  // for many
};
// y = x W^T of a weight of this shape and type (packed: as Model::pack() arranges it), for `few` and for `many` rows of
// x. Weights come from `working_set` bytes of memory, so that they lie in a cache only where a model's would.
ProductRate product_rate(DType type, bool packed, DType compute, int64_t rows, int64_t columns, int64_t few,
                         int64_t many, uint64_t working_set);

// Seconds of one layer's attention: `queries` of each of `batch` sequences over `keys` positions of a cache of the
// type.
double attention_seconds(const AttentionSpec& spec, DType compute, DType cache, int64_t batch, int64_t queries,
                         int64_t keys, uint64_t working_set);

// Seconds of choosing the likeliest token of a vocabulary, with its log probability.
double choice_seconds(int64_t vocab);

// Seconds that a step takes beside its products and its attention's arithmetic: of a model of the same family and
// number of layers that is hardly wide. 0 where the family makes no such model.
double step_overhead(const Spec& spec, DType compute, int64_t batch);

}  // namespace qkv
