// Between a GGUF file's metadata and names and a configuration and a Spec, by the tables of gguf_architectures.cpp.
#include "qkv/core/error.h"
#include "qkv/io/gguf_architectures.h"
#include "qkv/io/gguf_ends.h"
#include "qkv/io/gguf_tokens.h"
#include "qkv/models/labels_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace qkv {
namespace {

// What most architectures call our parameters. Linear layers of queries, keys and values and of gated feed-forwards
// are looked at below.
const std::vector<GgufArchitecture::Name>& common_names() {
  static const std::vector<GgufArchitecture::Name> names = {{"embeddings.token", {"token_embd"}},
                                                            {"embeddings.position", {"position_embd"}},
                                                            {"embeddings.segment", {"token_types"}},
                                                            {"embeddings.norm", {"token_embd_norm"}},
                                                            {"stack.blocks.*.norm1", {"blk.*.attn_norm"}},
                                                            {"stack.blocks.*.attention.q_norm", {"blk.*.attn_q_norm"}},
                                                            {"stack.blocks.*.attention.k_norm", {"blk.*.attn_k_norm"}},
                                                            {"stack.blocks.*.attention.out", {"blk.*.attn_output"}},
                                                            {"stack.blocks.*.norm2", {"blk.*.ffn_norm"}},
                                                            {"stack.blocks.*.feed_forward.down", {"blk.*.ffn_down"}},
                                                            {"stack.final_norm", {"output_norm"}},
                                                            {"heads.language_model", {"output"}}};
  return names;
}

std::vector<GgufArchitecture::Name> names_of(const GgufArchitecture& architecture, const Spec& spec, bool fused) {
  const BlockSpec& block = spec.stack.block;
  std::vector<GgufArchitecture::Name> names = architecture.names;
  if (block.residual == Residual::parallel && !block.shared_norm)
    names.insert(names.end(), architecture.two_norms.begin(), architecture.two_norms.end());
  if (fused) {
    names.push_back({"stack.blocks.*.attention.qkv", {"blk.*.attn_qkv"}});
  } else {
    names.push_back({"stack.blocks.*.attention.qkv", {"blk.*.attn_q", "blk.*.attn_k", "blk.*.attn_v"}});
  }
  if (block.feed_forward.gated) {
    names.push_back({"stack.blocks.*.feed_forward.up", {"blk.*.ffn_gate", "blk.*.ffn_up"}});
  } else {
    names.push_back({"stack.blocks.*.feed_forward.up", {"blk.*.ffn_up"}});
  }
  for (const GgufArchitecture::Name& common : common_names())
    if (std::none_of(names.begin(), names.end(),
                     [&](const auto& name) { return name.ours == std::string_view(common.ours); }))
      names.push_back(common);
  return names;
}

std::string with_layer(std::string text, int64_t layer) {
  if (const size_t star = text.find('*'); star != std::string::npos) text.replace(star, 1, std::to_string(layer));
  return text;
}

// `begin`: what stands before their names.
void add_rules(std::vector<WeightRule>& rules, const std::string& ours, const std::vector<const char*>& names,
               const std::string& begin, int64_t layer) {
  std::vector<std::string> theirs;
  for (const char* one : names) theirs.push_back(begin + with_layer(one, layer));
  const auto ending_in = [&](const char* end) {
    std::vector<std::string> ended;
    for (const std::string& one : theirs) ended.push_back(one + end);
    return ended;
  };
  rules.push_back({ours, ending_in(".weight")});
  rules.push_back({ours + ".weight", ending_in(".weight")});
  rules.push_back({ours + ".bias", ending_in(".bias")});
  for (size_t i = 0; i < theirs.size(); ++i)
    rules.push_back({fmt::format("{}.weight.{}", ours, i), {theirs[i] + ".weight"}});
}

// A float's shortest decimal: 1e-5, not the double nearest to the float.
Json shortest(const GgufValue& value) {
  if (value.type == GgufType::array) return value.list.json();
  if (value.type != GgufType::f32 || !value.value.is_number()) return value.value;
  const std::string text = fmt::format("{}", value.value.get<float>());
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Llama 3.1's way of stretching, told by the factors that it comes to. What they do not tell is written beside them, or
// as in all models of that kind.
Json llama3_scaling(const GgufContents& file, const std::string& prefix, const Json& config) {
  const std::vector<float> factors = file.rotary_factors.to_vector<float>();
  const auto number = [&](const char* key, double otherwise) {
    const GgufValue* found = file.find(prefix + key);
    const double value = found != nullptr && found->value.is_number() ? shortest(*found).get<double>() : otherwise;
    return value > 0 && value < 1e9 ? value : otherwise;
  };
  RotarySpec spec;
  spec.dim = 2 * std::ssize(factors);
  spec.base = config.value("rope_theta", 10000.0);
  spec.scaling = RotarySpec::Scaling::llama3;
  spec.factor = factors.empty() ? 0 : *std::max_element(factors.begin(), factors.end());
  spec.original_positions = static_cast<int64_t>(number("rope.scaling.original_context_length", 8192));
  spec.low_freq_factor = number("rope.scaling.low_freq_factor", 1);
  spec.high_freq_factor = number("rope.scaling.high_freq_factor", 4);
  const std::vector<double> ours = rotary_factors(spec);
  for (size_t i = 0; i < factors.size(); ++i)
    if (!(std::abs(factors[i] - ours[i]) <= 1e-3 * ours[i]))
      throw Error(tensor_place(file.where, rotary_factors_name),
                  "stretches rotary positions in a way that is not known", "use the model's Hugging Face form");
  return {{"rope_type", "llama3"},
          {"factor", spec.factor},
          {"low_freq_factor", spec.low_freq_factor},
          {"high_freq_factor", spec.high_freq_factor},
          {"original_max_position_embeddings", spec.original_positions}};
}

constexpr std::pair<const char*, const char*> stretching_numbers[] = {
    {"rope.scaling.original_context_length", "original_max_position_embeddings"},
    {"rope.scaling.yarn_beta_fast", "beta_fast"},
    {"rope.scaling.yarn_beta_slow", "beta_slow"}};

// What YaRN multiplies cosine and sine by when nothing else is said. llama.cpp's "attn_factor" multiplies that again;
// "yarn_attn_factor" and "yarn_ext_factor" it passes over.
double usual_magnitude(double factor) {
  RotarySpec yarn;
  yarn.dim = 2;
  yarn.scaling = RotarySpec::Scaling::yarn;
  yarn.factor = factor;
  yarn.original_positions = 1;
  return rotary_magnitude(yarn);
}

void add_attention_factor(Json& scaling, const Json& share) {
  if (share.is_null() || share == 1) return;
  scaling["attention_factor"] = share;
  if (share.is_number() && scaling["factor"].is_number())
    scaling["attention_factor"] =
        shortest(GgufValue::of_f32(share.get<double>() * usual_magnitude(scaling["factor"].get<double>())));
}

void add_scaling(Json& config, const GgufContents& file, const std::string& prefix) {
  if (file.rotary_factors) {
    config["rope_scaling"] = llama3_scaling(file, prefix, config);
    return;
  }
  const auto find = [&](const char* key) {
    const GgufValue* found = file.find(prefix + key);
    return found == nullptr ? Json() : shortest(*found);
  };
  Json factor = find("rope.scaling.factor");
  if (factor.is_null()) factor = find("rope.scale_linear");
  Json type = find("rope.scaling.type");
  if (!type.is_string()) type = factor.is_null() || factor == 0 || factor == 1 ? "none" : "linear";
  if (const Json share = find("rope.scaling.attn_factor"); type != "yarn" && !share.is_null() && share != 1)
    throw Error(file.where, fmt::format("has a {}rope.scaling.attn_factor of {} without YaRN", prefix, share.dump()),
                "use the model's Hugging Face form");
  if (type == "none") return;
  config["rope_scaling"] = {{"rope_type", type}, {"factor", factor}};
  for (const auto& [theirs, ours] : stretching_numbers)
    if (const Json value = find(theirs); !value.is_null()) config["rope_scaling"][ours] = value;
  if (type == "yarn") add_attention_factor(config["rope_scaling"], find("rope.scaling.attn_factor"));
}

// The ids of special tokens under the configuration's names.
void add_token_ids(Json& config, const GgufContents& file, int64_t vocab) {
  for (const auto& [theirs, ours] : gguf_roles) {
    if (std::string_view(ours) == "eos") continue;
    const GgufValue* found = file.find(fmt::format("tokenizer.ggml.{}_token_id", theirs));
    if (found != nullptr && found->value.is_number_unsigned() &&
        found->value.get<uint64_t>() < static_cast<uint64_t>(vocab))
      config[std::string(ours) + "_token_id"] = found->value;
  }
  if (const Json ends = said_ends([&](const std::string& key) { return file.find(key); }, vocab); !ends.is_null())
    config["eos_token_id"] = ends;
}

const std::optional<RotarySpec>& rotary_of(const Spec& spec) { return spec.stack.block.attention.rotary; }

std::string_view name_of(RotarySpec::Scaling scaling) {
  constexpr std::string_view names[] = {"default", "linear", "dynamic", "llama3", "yarn"};
  return names[static_cast<size_t>(scaling)];
}

void describe_scaling(const GgufArchitecture& architecture, const RotarySpec& rotary, const std::string& prefix,
                      GgufMetadata& metadata) {
  using Scaling = RotarySpec::Scaling;
  const auto say = [&](const char* key, GgufValue value) {
    metadata[prefix + "rope.scaling." + key] = std::move(value);
  };
  if (rotary.scaling == Scaling::none) return;
  if (rotary.scaling == Scaling::dynamic || (rotary.scaling == Scaling::llama3 && !architecture.rotary_factors))
    throw Error("gguf",
                fmt::format("files of {} models have no words for rope_scaling.rope_type = {}", architecture.name,
                            name_of(rotary.scaling)),
                "keep the model in its Hugging Face form");
  say("original_context_length", GgufValue::of_u32(static_cast<uint64_t>(rotary.original_positions)));
  if (rotary.scaling == Scaling::llama3) {  // the factors are a tensor
    say("low_freq_factor", GgufValue::of_f32(rotary.low_freq_factor));
    say("high_freq_factor", GgufValue::of_f32(rotary.high_freq_factor));
    return;
  }
  say("type", GgufValue::of_string(std::string(name_of(rotary.scaling))));
  say("factor", GgufValue::of_f32(rotary.factor));
  if (rotary.scaling == Scaling::linear) return;
  const RotarySpec usual;
  if (const double share = rotary_magnitude(rotary) / usual_magnitude(rotary.factor); static_cast<float>(share) != 1)
    say("attn_factor", GgufValue::of_f32(share));
  if (rotary.beta_fast != usual.beta_fast) say("yarn_beta_fast", GgufValue::of_f32(rotary.beta_fast));
  if (rotary.beta_slow != usual.beta_slow) say("yarn_beta_slow", GgufValue::of_f32(rotary.beta_slow));
}

}  // namespace

std::vector<double> rotary_factors(const RotarySpec& rotary) {
  RotarySpec plain = rotary;
  plain.scaling = RotarySpec::Scaling::none;
  std::vector<double> factors = rotary_frequencies(plain, 0);
  const std::vector<double> stretched = rotary_frequencies(rotary, 0);
  for (size_t i = 0; i < factors.size(); ++i) factors[i] /= stretched[i];
  return factors;
}

double rotary_magnitude(const RotarySpec& rotary) { return rotary_table(rotary, 1).cosine.to_vector<float>().at(0); }

std::vector<WeightRule> gguf_weights(const GgufArchitecture& architecture, const Spec& spec, bool fused) {
  std::vector<WeightRule> rules;
  for (const auto& [name, theirs] : names_of(architecture, spec, fused)) {
    const std::string ours = name;
    if (!ours.starts_with("stack.")) {
      add_rules(rules, ours, theirs, "", 0);
      continue;
    }
    const bool per_layer = ours.find('*') != std::string::npos;
    for (const GgufArchitecture::Stack& stack : architecture.stacks)
      for (int64_t layer = 0; layer < (per_layer ? stack_of(spec, stack).layers : 1); ++layer)
        add_rules(rules, (stack.encoder ? "encoder." : "") + with_layer(ours, layer), theirs, stack.theirs, layer);
  }
  return rules;
}

Config gguf_config(const GgufContents& file) {
  const GgufArchitecture& architecture = gguf_architecture(file);
  Json config = architecture.config;
  config["model_type"] = architecture.family;
  config["architectures"] = {architecture.model_class};
  const std::string prefix = std::string(architecture.name) + ".";
  for (const GgufArchitecture::Key& key : architecture.keys)
    if (const GgufValue* found = file.find(prefix + key.key); found != nullptr && key.config != nullptr)
      config[key.config] = shortest(*found);
  const auto table = file.shapes.find("token_embd.weight");
  if (table == file.shapes.end())
    throw Error(file.where, "has no token_embd.weight", "name a file that holds a whole model");
  config["vocab_size"] = table->second[0];
  if (file.matrices == DType::bf16) config["dtype"] = "bfloat16";
  if (file.matrices == DType::f16) config["dtype"] = "float16";
  config["tie_word_embeddings"] = !file.contains("output.weight");
  if (const auto types = file.shapes.find("token_types.weight"); types != file.shapes.end())
    config["type_vocab_size"] = types->second[0];
  add_token_ids(config, file, table->second[0]);
  add_scaling(config, file, prefix);
  if (architecture.finish != nullptr) architecture.finish(config, file);
  return {config, file.where};
}

// problem_type is a word of ours, which llama.cpp passes over: it decides how logits become scores.
GgufMetadata gguf_classes(const Spec& spec, const Config& config) {
  if (spec.task != Task::sequence_classification) return {};
  const std::string prefix = fmt::format("{}.classifier.", gguf_architecture_of(spec).name);
  GgufMetadata metadata = {
      {prefix + "output_labels", GgufValue::of_array(GgufType::string, label_names(config, spec.heads.labels))}};
  if (const std::string type = config.text("problem_type", ""); !type.empty())
    metadata[prefix + "problem_type"] = GgufValue::of_string(type);
  return metadata;
}

GgufMetadata gguf_description(const GgufArchitecture& architecture, const Spec& spec) {
  GgufMetadata metadata = {{"general.architecture", GgufValue::of_string(std::string(architecture.name))},
                           {"general.quantization_version", GgufValue::of_u32(2)}};
  const std::string prefix = std::string(architecture.name) + ".";
  for (const auto& [key, value] : architecture.metadata) metadata[prefix + key] = value;
  for (const GgufArchitecture::Key& key : architecture.keys) {
    if (key.value == nullptr) continue;
    const double value = key.value(spec);
    metadata[prefix + key.key] = key.type == GgufType::boolean ? GgufValue::of_bool(value != 0)
                                 : key.type == GgufType::f32   ? GgufValue::of_f32(value)
                                                               : GgufValue::of_u32(static_cast<uint64_t>(value));
  }
  const int64_t window = spec.stack.layer(0).attention.window;
  if (architecture.window_key && window > 0)
    metadata[prefix + "attention.sliding_window"] = GgufValue::of_u32(static_cast<uint64_t>(window));
  if (rotary_of(spec)) describe_scaling(architecture, *rotary_of(spec), prefix, metadata);
  return metadata;
}

}  // namespace qkv
