// Mixes of types: which tensor of a model gets which, as llama.cpp's tools have them (src/llama-quant.cpp), so that
// files of one name are alike.
#pragma once

#include "qkv/models/spec.h"
#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qkv {

struct GgufMix {
  enum class Layers : uint8_t {
    all,
    some,  // the first and the last eighth, and every third between
    first_eighth,
    first_four,
  };
  struct Better {
    DType type;
    Layers layers;
  };
  std::string_view name;
  uint32_t file_type;             // "general.file_type" (llama.h: enum llama_ftype)
  DType type;                     // of most matrices
  DType output;                   // of the head, and of the embedding where it is the head
  std::optional<Better> values;   // of attention's values
  std::optional<Better> down;     // of the feed-forward's second matrix
  std::optional<DType> fused;     // of queries, keys and values in one
  std::optional<DType> attended;  // of attention's output
};

std::span<const GgufMix> gguf_mixes();
const GgufMix& gguf_mix(std::string_view name);  // throws Error that lists them

// The type of a tensor by its name in the file. `tied`: the head is the embedding. Rows that are no whole number of
// blocks of 256 get the type of 32 with at least as many bits; of 32 neither, f16.
DType mix_type(const GgufMix& mix, const Spec& spec, bool tied, std::string_view name, const Shape& shape);

}  // namespace qkv
