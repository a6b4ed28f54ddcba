// Looking inside: every intermediate passes a named point on its way. Names are TransformerLens': "hook_embed",
// "blocks.3.hook_resid_pre", "blocks.3.attn.hook_pattern", "ln_final.hook_normalized", ...
#pragma once

#include "qkv/tensor/tensor.h"

#include <functional>
#include <string>

namespace qkv {

struct Taps {
  // Whether the value at `name` is wanted; those that are costly to make are made only then.
  std::function<bool(const std::string& name)> wants;
  // Sees the value; what it returns takes its place (return it unchanged to look only).
  std::function<Tensor(const std::string& name, const Tensor& value)> see;
};

}  // namespace qkv
