#include "qkv/models/family.h"

#include "qkv/core/error.h"
#include "qkv/models/class_heads.h"

#include <algorithm>

namespace qkv {

#include "qkv/models/families.inc"

namespace {

std::string with_layer(const std::string& pattern, int64_t layer) {
  const size_t star = pattern.find('*');
  return star == std::string::npos ? pattern
                                   : pattern.substr(0, star) + std::to_string(layer) + pattern.substr(star + 1);
}

}  // namespace

std::vector<const Family*> all_families() { return {std::begin(family_list), std::end(family_list)}; }

const Family& family_named(std::string_view type, std::string_view where) {
  std::vector<std::string> names;
  std::string list;
  for (const Family* family : all_families()) {
    const auto& older = family->older_types;
    if (family->type == type || std::find(older.begin(), older.end(), type) != older.end()) return *family;
    names.emplace_back(family->type);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const std::string close = nearest(type, names);
  throw Error(where, fmt::format("model type '{}' is not supported", type),
              (close.empty() ? "" : fmt::format("did you mean '{}'? ", close)) + "supported: " + list);
}

const Family& family_of(const Config& config) {
  if (!config.has("model_type"))
    config.fail("model_type", "is missing, and \"architectures\" names no class that is known",
                "add the line \"model_type\": \"...\" with one of qkv info --families");
  return family_named(config.text("model_type", ""), config.where());
}

Spec spec_of(const Config& config) {
  const Family& family = family_of(config);
  try {
    Spec spec = family.spec(config);
    spec.family = family.type;
    add_decoder_heads(config, spec);
    check_spec(spec, config.where());
    return spec;
  } catch (const Error& error) {  // a part that knows nothing of files, such as an unknown activation
    if (error.where().starts_with(config.where())) throw;
    throw Error(config.where(), fmt::format("{}: {}", error.where(), error.reason()), error.hint(), error.kind());
  }
}

std::string architecture_of(const Config& config) {
  if (!config.has("architectures")) return "";
  const Json& names = config.json()["architectures"];
  if (!names.is_array() || names.empty() || !names[0].is_string())
    config.fail("architectures", "must be a list of class names");
  return names[0].get<std::string>();
}

Task task_of(const Config& config) {
  const std::string name = architecture_of(config);
  return config.has("architectures") ? task_of_architecture(name, config.where()) : Task::features;
}

std::vector<WeightRule> expanded_weights(const Family& family, const Spec& spec) {
  std::vector<WeightRule> rules = decoder_head_rules(family, spec);
  for (const WeightRule& rule : family.weights(spec)) {
    const bool per_layer = rule.ours.find('*') != std::string::npos;
    const StackSpec& stack = spec.encoder && rule.ours.starts_with("encoder.") ? spec.encoder->stack : spec.stack;
    for (int64_t layer = 0; layer < (per_layer ? stack.distinct() : 1); ++layer) {
      WeightRule one{with_layer(rule.ours, layer), {}, rule.layout, rule.rows};
      for (const std::string& theirs : rule.theirs) one.theirs.push_back(with_layer(theirs, layer));
      rules.push_back(std::move(one));
    }
  }
  return rules;
}

}  // namespace qkv
