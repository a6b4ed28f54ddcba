// What a model's passes depend on, by its Spec.
#pragma once

#include "qkv/models/spec.h"

namespace qkv {

// Whether what it keeps of a text is keys and values alone, and a token's work is the same at any length but for them.
bool keeps_keys_alone(const Spec& spec);

// Whether moreover a pass takes the same kernels, over memory that is there already, whatever the tokens are, so that
// it can be recorded and replayed (tensor/replay.h).
bool passes_alike(const Spec& spec);

}  // namespace qkv
