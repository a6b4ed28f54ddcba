// The option of verbs that run a model: the type of its weights and activations.
#pragma once

#include "tools/commands.h"

namespace qkv {

// --dtype auto|f32|bf16|f16; see models/compute_type.h.
CLI::Option* add_dtype_option(CLI::App& command, std::string& type);

}  // namespace qkv
