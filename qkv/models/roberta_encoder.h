// The encoder that RoBERTa set and others follow: BERT's, with positions behind the padding's, and heads of its own. A
// family starts from it and changes what is its own.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// Row pad_token_id of the position table is the padding's; texts begin behind it. Throws Error when no row is left.
Spec roberta_encoder(const Config& config);

// bert_encoder_weights() under `base` ("roberta."), and the heads "lm_head.dense", "classifier.out_proj", ...
std::vector<WeightRule> roberta_encoder_weights(const Spec& spec, const std::string& base);

// Buffers, a pooler that the language model does not use, and copies of its head's.
std::vector<std::string> roberta_encoder_unused(const std::string& base);

Json roberta_encoder_config(const Sizes& sizes, const char* type, const char* architecture);

}  // namespace qkv
