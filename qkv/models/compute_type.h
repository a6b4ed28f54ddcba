// The type of weights and activations where nobody chooses one.
#pragma once

#include "qkv/models/config.h"
#include "qkv/tensor/device.h"
#include "qkv/tensor/dtype.h"

namespace qkv {

// What config.json says that the weights are stored as ("dtype", once "torch_dtype"), in its words: "float32" where it
// says nothing.
std::string stored_type_of(const Config& config);

// That of the weights as they are stored, so that a model takes the memory that its file takes: bf16; f16 on a device,
// which multiplies it; else f32. Weights in blocks stay in blocks.
DType compute_type(const Config& config, Device device = default_device());

// "auto" is the above; else as dtype_named().
DType compute_type_named(const std::string& name, const Config& config);

}  // namespace qkv
