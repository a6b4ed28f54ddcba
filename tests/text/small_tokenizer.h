// A tokenizer of a few words with <s> and </s>, and more in its tokenizer_config.json where a test wants it.
#pragma once

#include "qkv/text/tokenizer.h"

namespace qkv {

inline Tokenizer small_tokenizer(const Json& more = Json::object()) {
  const Json tokenizer = {
      {"version", "1.0"},
      {"added_tokens",
       {{{"id", 0}, {"content", "<s>"}, {"special", true}}, {{"id", 1}, {"content", "</s>"}, {"special", true}}}},
      {"model", {{"type", "WordLevel"}, {"vocab", {{"<s>", 0}, {"</s>", 1}, {"hi", 2}}}, {"unk_token", "<s>"}}}};
  Json config = {{"bos_token", "<s>"}, {"eos_token", {{"content", "</s>"}}}};
  config.update(more);
  return Tokenizer::from_json(tokenizer, config, "test");
}

}  // namespace qkv
