// Texts as tokens, where those that can never fit are to cost little.
#pragma once

#include "qkv/serve/api_error.h"
#include "qkv/serve/served_model.h"

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// `field` is where the request has the text. `given` counts its tokens, or as many of them as were counted.
ApiError too_long_for_context(int64_t context, int64_t given, const std::string& field);

// Tokenizer::encode_ids(). `must_fit`: throws too_long_for_context() for a text that has far more tokens than the
// model's context, when its beginning has shown that; others are for the caller to check.
std::vector<int32_t> prompt_ids(const ServedModel& model, std::string_view text, bool special_tokens, bool must_fit,
                                const std::string& field);

}  // namespace qkv
