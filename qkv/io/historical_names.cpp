#include "qkv/io/historical_names.h"

#include "qkv/core/error.h"
#include "qkv/models/model.h"

#include <algorithm>
#include <array>
#include <optional>

namespace qkv {
namespace {

// How many tensors of heads a model of this class would find; none when one is missing.
std::optional<size_t> tensors_of_head(const Config& config, const Family& family, const char* ending,
                                      const std::map<std::string, std::string>& names) {
  Json json = config.json();
  json["architectures"] = {ending};
  const NoMemory no_memory;
  try {
    const Spec spec = spec_of(Config(json, config.where()));
    if (spec.layers() / 64 > std::ssize(names)) return std::nullopt;  // no more work than the file is large
    size_t found = 0;
    std::map<std::string, WeightRule> rules;
    for (WeightRule& rule : expanded_weights(family, spec)) rules[rule.ours] = std::move(rule);
    bool whole = true;
    Model(spec).visit([&](const std::string& name, Tensor&, Role) {
      if (!name.starts_with("heads.")) return;
      for (const std::string& theirs : rules[name].theirs) {
        whole = whole && names.count(theirs) > 0;
        ++found;
      }
    });
    return whole ? std::optional(found) : std::nullopt;
  } catch (const Error&) {  // a head that the family does not have
    return std::nullopt;
  }
}

}  // namespace

std::string todays_name(std::string name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> endings = {
      {{"LayerNorm.gamma", "weight"}, {"LayerNorm.beta", "bias"}, {".g", "weight"}, {".w", "weight"}, {".b", "bias"}}};
  if (name.starts_with("module.")) name.erase(0, std::string_view("module.").size());
  for (const auto& [older, today] : endings) {
    if (!name.ends_with(older)) continue;
    name.replace(name.rfind('.') + 1, std::string::npos, today);
    break;
  }
  return name;
}

std::string head_of_weights(const Config& config, const Family& family,
                            const std::map<std::string, std::string>& names) {
  constexpr std::array<const char*, 8> endings = {"ForPreTraining",
                                                  "ForMaskedLM",
                                                  "LMHeadModel",
                                                  "ForSequenceClassification",
                                                  "ForTokenClassification",
                                                  "ForQuestionAnswering",
                                                  "ForConditionalGeneration",
                                                  "Model"};
  std::string best = "Model";
  size_t most = 0;
  for (const char* ending : endings) {
    const std::optional<size_t> found = tensors_of_head(config, family, ending, names);
    // A head whose weights are the embeddings' has no tensors of its own: decoders are language models, with an encoder
    // beside them or without.
    const std::string_view name = ending;
    const bool tied = found && *found == 0 && (name == "LMHeadModel" || name == "ForConditionalGeneration");
    if ((found && *found > most) || (tied && best == "Model")) {
      best = ending;
      most = *found;
    }
  }
  return best;
}

}  // namespace qkv
