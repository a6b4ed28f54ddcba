#include "qkv/io/tokenizer_fits.h"

#include "qkv/core/error.h"

namespace qkv {

void check_tokenizer_fits(const Tokenizer& tokenizer, int64_t model_vocabulary, const std::string& where) {
  if (tokenizer.vocab_size() <= model_vocabulary) return;
  auto id = static_cast<int32_t>(model_vocabulary);
  while (tokenizer.token(id).empty()) ++id;  // ids may leave gaps
  const std::string token = tokenizer.token(id);
  if (tokenizer.is_special(id))
    throw Error(where,
                fmt::format("the tokenizer's special token '{}' has id {}, beyond the model's {} tokens", token, id,
                            model_vocabulary),
                "use the tokenizer of this checkpoint; a token that was added needs a row in the embedding");
  throw Error(where,
              fmt::format("the tokenizer has {} tokens, the model {}; the first too many is '{}'",
                          tokenizer.vocab_size(), model_vocabulary, token),
              "use the tokenizer that belongs to the checkpoint");
}

}  // namespace qkv
