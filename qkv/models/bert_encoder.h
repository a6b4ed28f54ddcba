// The encoder that BERT set and others follow: post-norm blocks over token, position and segment embeddings. A family
// starts from it and changes what is its own.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// Reads the keys that these families share. The head has what the task needs: a pooler and a classifier, or a masked
// language model with BERT's transform.
Spec bert_encoder(const Config& config);

// Embeddings, layers and pooler under `base` ("bert."): "embeddings.word_embeddings",
// "encoder.layer.*.attention.self.query", ...
std::vector<WeightRule> bert_encoder_weights(const std::string& base);

Json bert_encoder_config(const Sizes& sizes, const char* type, const char* architecture);

}  // namespace qkv
