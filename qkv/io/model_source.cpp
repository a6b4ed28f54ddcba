#include "qkv/io/model_source.h"

#include "qkv/io/gguf_architectures.h"
#include "qkv/io/gguf_tokenizer.h"

namespace qkv {

Config read_config(const fs::path& model) {
  return is_gguf(model) ? gguf_config(GgufContents(Gguf(model))) : Config::read(model);
}

Tokenizer load_tokenizer(const fs::path& model) {
  return is_gguf(model) ? gguf_tokenizer(Gguf(model)) : Tokenizer::load(model);
}

}  // namespace qkv
