#include "tools/support/new_tokenizer.h"

#include "qkv/core/error.h"
#include "qkv/text/train.h"

namespace qkv {

Tokenizer new_tokenizer(const std::string& kind, int64_t vocab_size, const Sources& sources,
                        std::vector<std::string> special_tokens) {
  const TrainOptions options{.vocab_size = vocab_size, .special_tokens = std::move(special_tokens)};
  if (kind == "byte") return byte_tokenizer(options);
  std::vector<std::string> texts;
  read_documents(sources, [&](const std::string&, std::string_view text) { texts.emplace_back(text); });
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  if (kind == "char") return train_characters(views, options);
  if (kind == "bpe") return train_bpe(views, options);
  throw Error("--tokenizer", fmt::format("'{}' is neither bpe, char nor byte, nor a directory with a tokenizer", kind));
}

}  // namespace qkv
