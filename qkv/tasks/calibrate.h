// What the inputs of a model's matrices are worth, measured on a text.
#pragma once

#include "qkv/tasks/text_model.h"

#include <map>

namespace qkv {

// The mean of the squares of each input, over at most `tokens` tokens of a text, by the name of the tap that sees it
// ("blocks.3.mlp.hook_post"); f32 [K]. An error in a weight costs in proportion to them.
std::map<std::string, Tensor> input_squares(const TextModel& model, std::string_view text, int64_t tokens);

// The tap that sees the inputs of a matrix, by its name in a GGUF file; "" where none does.
std::string tap_of_gguf_tensor(const Spec& spec, std::string_view name);

}  // namespace qkv
