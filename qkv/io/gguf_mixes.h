// Mixes of types: which tensor of a model gets which, as llama.cpp's tools have them (src/llama-quant.cpp), so that
// files of one name are alike.
#pragma once

#include "qkv/models/spec.h"
#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qkv {

struct GgufMix {
  std::string_view name;
  uint32_t file_type;  // "general.file_type" (llama.h: enum llama_ftype)
  DType type;          // of matrices for which no rule says better
  DType output;        // of the head, and of the embedding where it is the head
};

std::span<const GgufMix> gguf_mixes();
const GgufMix& gguf_mix(std::string_view name);  // throws Error that lists them

// The type of a tensor by its name in the file. Rows that are no whole number of blocks of 256 get a type of 32; of 32
// neither, f16.
DType mix_type(const GgufMix& mix, const Spec& spec, std::string_view name, const Shape& shape);

}  // namespace qkv
