// RoBERTa: BERT with positions behind the padding's, and other heads. Liu et al., arXiv 1907.11692.
#include "qkv/models/roberta_encoder.h"

namespace qkv::families {
namespace {

std::vector<WeightRule> weights(const Spec& spec) { return roberta_encoder_weights(spec, "roberta."); }

Json config(const Sizes& s) { return roberta_encoder_config(s, "roberta", "RobertaForMaskedLM"); }

}  // namespace

extern const Family roberta{
    .type = "roberta",
    .name = "RoBERTa",
    .paper = "Liu et al. 2019, arXiv 1907.11692",
    .spec = roberta_encoder,
    .weights = weights,
    .unused = roberta_encoder_unused("roberta."),
    .base_prefix = "roberta.",
    .config = config,
    .older_types = {"camembert", "xlm-roberta"},
};

}  // namespace qkv::families
