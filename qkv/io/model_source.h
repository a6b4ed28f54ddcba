// Where a model comes from: a Hugging Face directory, or a GGUF file, which holds all in one. load_model() takes both.
#pragma once

#include "qkv/core/files.h"
#include "qkv/models/config.h"
#include "qkv/text/tokenizer.h"

#include <memory>

namespace qkv {

Config read_config(const fs::path& model);
Tokenizer load_tokenizer(const fs::path& model);

// While the result lives, all that is read of this model's GGUF file reads its header once.
std::shared_ptr<const void> keep_open(const fs::path& model);

}  // namespace qkv
