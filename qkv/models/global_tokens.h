// Which tokens are global where the input does not say (Longformer).
#pragma once

#include "qkv/models/spec.h"

namespace qkv {

// u8 [B, T], 1 = global, as the Spec's task has it for ids i32 [B, T]; undefined when none are.
Tensor usual_global_tokens(const Spec& spec, const Tensor& ids);

}  // namespace qkv
