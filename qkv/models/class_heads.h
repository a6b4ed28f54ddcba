// Heads for classes, spans and choices that many families have alike.
#pragma once

#include "qkv/models/family.h"

namespace qkv {

// For what the configuration's class is for: the row's position through a dense layer with tanh and then a classifier
// ("classifier.dense", "classifier.out_proj"), a classifier of every position, or spans. Dropout before each is
// "classifier_dropout", or else `dropout`.
HeadsSpec class_heads(const Config& config, float dropout);

// Their rules. `two_layers`: the name of a sequence classifier; `pooler`: of the dense layer that other heads pool
// with.
std::vector<WeightRule> class_head_rules(const Spec& spec, const std::string& two_layers, const std::string& pooler);

// Gives a decoder whose class ends in ForSequenceClassification or ForTokenClassification what such classes have in
// every family: a classifier, without a bias for whole texts, over the last token that is not padding, or over every
// token. Throws Error for other heads that the family has not set.
void add_decoder_heads(const Config& config, Spec& spec);
std::vector<WeightRule> decoder_head_rules(const Family& family, const Spec& spec);

}  // namespace qkv
