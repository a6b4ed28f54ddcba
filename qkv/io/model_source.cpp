#include "qkv/io/model_source.h"

#include "qkv/io/gguf_architectures.h"
#include "qkv/io/gguf_tokenizer.h"

namespace qkv {

Config read_config(const fs::path& model) {
  return is_gguf(model) ? gguf_config(GgufContents(*open_gguf(model))) : Config::read(model);
}

Tokenizer load_tokenizer(const fs::path& model) {
  return is_gguf(model) ? gguf_tokenizer(*open_gguf(model)) : Tokenizer::load(model);
}

std::shared_ptr<const void> keep_open(const fs::path& model) { return is_gguf(model) ? open_gguf(model) : nullptr; }

}  // namespace qkv
