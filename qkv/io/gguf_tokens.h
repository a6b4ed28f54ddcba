// The conventions of tokenizers in GGUF files, in both directions.
#pragma once

#include "qkv/core/json.h"

#include <string>
#include <string_view>
#include <utility>

namespace qkv {

// "tokenizer.ggml.token_type".
enum GgufTokenType : int { normal_token = 1, unknown_token, control_token, user_token, unused_token, byte_token_type };

// The roles of tokens: GGUF's name before "_token_id", and the Hugging Face library's before "_token".
inline constexpr std::pair<const char*, const char*> gguf_roles[] = {
    {"bos", "bos"},       {"eos", "eos"}, {"unknown", "unk"}, {"padding", "pad"},
    {"seperator", "sep"}, {"cls", "cls"}, {"mask", "mask"}};  // spelled as the format spells it

// The pre-tokenizer of a tokenizer.json by its name in "tokenizer.ggml.pre", and back. Null, or empty, for one that is
// not known.
Json pre_tokenizer_named(std::string_view name);
std::string name_of_pre_tokenizer(const Json& pre_tokenizer);

}  // namespace qkv
