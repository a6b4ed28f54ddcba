#include "qkv/models/class_heads.h"

#include "qkv/models/labels_config.h"

#include <limits>

namespace qkv {
namespace {

bool classifies(Task task) { return task == Task::sequence_classification || task == Task::token_classification; }

// Whether the heads are those of add_decoder_heads().
bool has_decoder_heads(const Spec& spec) { return spec.heads.row == HeadsSpec::Row::last_unpadded; }

}  // namespace

HeadsSpec class_heads(const Config& c, float dropout) {
  const Task task = task_of(c);
  HeadsSpec heads{.labels = label_count(c, task),
                  .problem = label_problem(c),
                  .dropout = c.probability("classifier_dropout", dropout)};
  heads.pooler = task == Task::sequence_classification;
  if (heads.pooler) heads.pooler_dropout = heads.dropout;
  return heads;
}

std::vector<WeightRule> class_head_rules(const Spec& spec, const std::string& two_layers, const std::string& pooler) {
  const bool sequence = spec.task == Task::sequence_classification;
  const std::string classifier = sequence                                ? two_layers + ".out_proj"
                                 : spec.task == Task::question_answering ? "qa_outputs"
                                                                         : "classifier";
  std::vector<WeightRule> rules;
  for (const std::string end : {".weight", ".bias"}) {
    rules.push_back({"heads.pooler" + end, {(sequence ? two_layers : pooler) + ".dense" + end}});
    rules.push_back({"heads.classifier" + end, {classifier + end}});
  }
  return rules;
}

void add_decoder_heads(const Config& c, Spec& spec) {
  if (spec.encoder || !spec.causal() || spec.heads.labels > 0) return;
  if (spec.task == Task::features || spec.task == Task::causal_lm) return;
  if (!classifies(spec.task))
    c.fail("architectures", "names a head that decoders do not have here",
           "the language model, ForSequenceClassification and ForTokenClassification are supported");
  const bool sequence = spec.task == Task::sequence_classification;
  spec.heads.labels = label_count(c, spec.task);
  spec.heads.problem = label_problem(c);
  spec.heads.row = HeadsSpec::Row::last_unpadded;
  spec.heads.classifier_bias = !sequence;
  spec.heads.dropout = sequence ? 0 : c.probability("classifier_dropout", c.probability("hidden_dropout", 0.1F));
  spec.padding_id = c.integer("pad_token_id", -1, -1, std::numeric_limits<int32_t>::max());
}

std::vector<WeightRule> decoder_head_rules(const Family& family, const Spec& spec) {
  if (!has_decoder_heads(spec)) return {};
  const std::string name(spec.task == Task::sequence_classification ? family.sequence_head : family.token_head);
  return {{"heads.classifier.weight", {name + ".weight"}}, {"heads.classifier.bias", {name + ".bias"}}};
}

}  // namespace qkv
