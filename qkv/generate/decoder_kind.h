// What decoding with a model depends on, by its Spec.
#pragma once

#include "qkv/models/model.h"

namespace qkv {

// Whether what it keeps of a text is keys and values alone, and a token's work is the same at any length but for them.
bool keeps_keys_alone(const Spec& spec);

// Whether moreover a step takes the same kernels whatever the tokens are, so that it can be recorded and replayed
// (tensor/replay.h).
bool steps_alike(const Spec& spec);

}  // namespace qkv
