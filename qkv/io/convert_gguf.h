// Models between Hugging Face directories and GGUF files, and in the mixes of types that llama.cpp made common.
#pragma once

#include "qkv/io/convert.h"
#include "qkv/io/gguf_mixes.h"
#include "qkv/io/hugging_face.h"

namespace qkv {

struct QuantizeOptions {
  std::string mix = "q4_k_m";  // a name of gguf_mixes()
  // What the inputs of a matrix, by its name in the file, are worth: f32 [K]; may be empty.
  std::function<Tensor(const std::string& name)> importance;
  bool overwrite = false;
  std::function<void(uint64_t done, uint64_t total)> progress;  // bytes; may throw to stop
};

// Writes a model, from a directory or a file, as one GGUF file with its tokenizer. Throws Error when the file is there
// and may not be overwritten, and for models that GGUF has no words for.
ConvertReport convert_to_gguf(const fs::path& source, const fs::path& file, const QuantizeOptions& options);

// The same as a Hugging Face directory: the weights as model.gguf, beside config.json, the tokenizer and what else goes
// along. Where transformers knows the architecture, it loads it: from_pretrained(directory, config=..., gguf_file=...).
// A new directory appears whole or not at all.
ConvertReport convert_to_gguf_directory(const fs::path& source, const fs::path& directory,
                                        const QuantizeOptions& options);

// Writes a GGUF file's model as a directory: config.json, weights (f32, or options.dtype), tokenizer. What was
// quantised is not made better by it.
ConvertReport convert_from_gguf(const fs::path& file, const fs::path& directory, const ConvertOptions& options);

}  // namespace qkv
