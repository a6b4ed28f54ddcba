#include "qkv/models/historical_config.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/models/family.h"

#include <array>
#include <utility>

namespace qkv {
namespace {

// Older key, today's key.
constexpr std::array<std::pair<const char*, const char*>, 4> spellings = {{
    {"vocab_size_or_config_json_file", "vocab_size"},  // pytorch-transformers 1.0
    {"_num_labels", "num_labels"},
    {"n_ctx", "n_positions"},
    {"n_head_kv", "num_kv_heads"},  // the first Falcons
}};

// "BertForMaskedLM" -> "Bert", "TFGPT2LMHeadModel" -> "GPT2".
std::string_view stem_of_class(std::string_view name) {
  for (const std::string_view framework : {"TF", "Flax"})
    if (name.starts_with(framework)) name.remove_prefix(framework.size());
  for (const std::string_view ending : {"For", "LMHead", "DoubleHeads", "Model"})
    if (const size_t at = name.find(ending); at != std::string_view::npos && at > 0) name = name.substr(0, at);
  return name;
}

// The family whose own configurations name a class of the same stem.
std::string_view type_of_class(std::string_view name) {
  for (const Family* family : all_families()) {
    if (family->config == nullptr) continue;
    const Json config = family->config(Sizes{.vocab = 1000});
    if (stem_of_class(config["architectures"][0].get<std::string>()) == stem_of_class(name)) return family->type;
  }
  return "";
}

}  // namespace

Json with_todays_keys(Json json, const std::string& where) {
  if (!json.is_object()) return json;
  for (const auto& [older, today] : spellings)
    if (json.contains(older) && json[older].is_number() && !json.contains(today)) json[today] = json[older];
  if (const auto pruned = json.find("pruned_heads"); pruned != json.end() && pruned->is_object() && !pruned->empty())
    throw Error(where, "\"pruned_heads\" says that heads were cut out, which is not supported",
                "use the model before pruning");
  if (!json.contains("model_type")) {
    const auto classes = json.find("architectures");
    if (classes != json.end() && classes->is_array() && !classes->empty() && classes->front().is_string())
      if (const std::string_view type = type_of_class(classes->front().get<std::string>()); !type.empty()) {
        json["model_type"] = type;
        notice(where, fmt::format("names no \"model_type\"; by its class it is taken for a '{}'", type));
      }
  }
  return json;
}

}  // namespace qkv
