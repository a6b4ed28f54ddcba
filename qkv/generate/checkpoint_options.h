// What a checkpoint's files say of generation: the tokens that begin and end a text and must or must not be in it.
#pragma once

#include "qkv/core/files.h"
#include "qkv/generate/options.h"
#include "qkv/text/tokenizer.h"

namespace qkv {

// From config.json, generation_config.json beside it and the tokenizer's end token. How words are chosen (temperature,
// beams, lengths) stays at its default: that is the caller's style, or SamplingDefaults'.
GenerationOptions checkpoint_options(const Config& config, const fs::path& model, const Tokenizer& tokenizer);

}  // namespace qkv
