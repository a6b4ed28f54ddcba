// Whether what is about to be written says what the model is: it is read back, and both are compared choice by choice.
#include "qkv/core/error.h"
#include "qkv/io/gguf_architectures.h"
#include "qkv/kernels/activation.h"
#include "qkv/models/describe.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

// Numbers of the file are f32.
bool nearly(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b)); }

double as_number(int64_t value) { return static_cast<double>(value); }

// In config.json's words; what a way of stretching does not look at is left out.
std::vector<std::pair<std::string_view, double>> rotary_choices(const RotarySpec& r) {
  using Scaling = RotarySpec::Scaling;
  std::vector<std::pair<std::string_view, double>> choices = {
      {"the rotated part of a head", as_number(r.dim)},
      {"rope_theta", r.base},
      {"rope_scaling.rope_type", static_cast<double>(r.scaling)}};
  if (r.scaling == Scaling::none) return choices;
  choices.emplace_back("rope_scaling.factor", r.factor);
  if (r.scaling == Scaling::linear) return choices;
  choices.emplace_back("rope_scaling.original_max_position_embeddings", as_number(r.original_positions));
  if (r.scaling == Scaling::llama3) {
    choices.emplace_back("rope_scaling.low_freq_factor", r.low_freq_factor);
    choices.emplace_back("rope_scaling.high_freq_factor", r.high_freq_factor);
  } else if (r.scaling == Scaling::yarn) {
    choices.emplace_back("rope_scaling.attention_factor", rotary_magnitude(r));
    choices.emplace_back("rope_scaling.beta_fast", r.beta_fast);
    choices.emplace_back("rope_scaling.beta_slow", r.beta_slow);
    choices.emplace_back("rope_scaling.truncate", r.truncate);
  }
  return choices;
}

// Different words may come to the same turning.
bool turn_alike(const RotarySpec& a, const RotarySpec& b) {
  if (a.dim == 0 && b.dim == 0) return true;  // neither turns
  if (a.dim != b.dim || a.scaling != b.scaling || !nearly(rotary_magnitude(a), rotary_magnitude(b))) return false;
  const std::vector<double> one = rotary_frequencies(a, 0);
  const std::vector<double> other = rotary_frequencies(b, 0);
  return std::equal(one.begin(), one.end(), other.begin(), nearly);
}

// A window that no text is longer than is none.
int64_t effective_window(const StackSpec& stack, int64_t layer) {
  const int64_t window = stack.layer(layer).attention.window;
  return stack.max_positions > 0 && window >= stack.max_positions ? 0 : window;
}

class Comparison {
 public:
  Comparison(const std::string& where, const Spec& ours, const Spec& said) : where_(where), ours_(ours), said_(said) {}

  void check() const {
    same("the embeddings' scale", ours_.embeddings.scale, said_.embeddings.scale);
    same("the first position", as_number(ours_.embeddings.position_offset),
         as_number(said_.embeddings.position_offset));
    same("the length", as_number(ours_.max_positions()), as_number(said_.max_positions()));
    same("final_logit_softcapping", ours_.heads.logit_softcap, said_.heads.logit_softcap);
    if (ours_.heads.language_model) same("the logits' scale", ours_.heads.scale, said_.heads.scale);
    stacks("", ours_.stack, said_.stack);
    if (!ours_.encoder || !said_.encoder) return;
    stacks("the encoder's ", ours_.encoder->stack, said_.encoder->stack);
    same("decoder_start_token_id", as_number(ours_.decoder_start), as_number(said_.decoder_start));
  }

 private:
  void same(std::string_view what, double ours, double said) const {
    if (nearly(ours, said)) return;
    throw Error(where_,
                fmt::format("GGUF has no words for {} = {:.7g} of this {} model: it would be read as {:.7g}", what,
                            ours, ours_.family, said),
                "keep it in its Hugging Face form");
  }

  void alike(const std::string& what, bool same) const {
    if (!same)
      throw Error(where_, fmt::format("GGUF has no words for {} of this {} model", what, ours_.family),
                  "keep it in its Hugging Face form");
  }

  void stacks(const std::string& whose, const StackSpec& ours, const StackSpec& said) const {
    same(whose + "layers", as_number(ours.layers), as_number(said.layers));
    for (int64_t i = 0; i < ours.layers; ++i) layers(fmt::format(" of {}layer {}", whose, i), ours, said, i);
  }

  void layers(const std::string& whose, const StackSpec& ours, const StackSpec& said, int64_t i) const {
    const BlockSpec& block = ours.layer(i);
    const BlockSpec& other = said.layer(i);
    same("the norms' epsilon" + whose, block.norm.eps, other.norm.eps);
    alike("the order of norms and branches" + whose, block.residual == other.residual);
    alike(fmt::format("the activation{} ({})", whose, name_of(block.feed_forward.activation)),
          block.feed_forward.activation == other.feed_forward.activation);
    const AttentionSpec& a = block.attention;
    const AttentionSpec& b = other.attention;
    same("the attention scale's inverse" + whose, inverse_scale(a), inverse_scale(b));
    same("scale_attn_by_inverse_layer_idx" + whose, a.scale_by_inverse_layer, b.scale_by_inverse_layer);
    same("attn_logit_softcapping" + whose, a.softcap, b.softcap);
    same("the slopes of ALiBi" + whose, a.alibi, b.alibi);
    same("the mask of what comes later" + whose, a.causal, b.causal);
    same("sliding_window" + whose, as_number(effective_window(ours, i)), as_number(effective_window(said, i)));
    const DistanceBiasSpec none{.buckets = 0, .max_distance = 0};
    const DistanceBiasSpec bias = a.distance_bias.value_or(none);
    const DistanceBiasSpec other_bias = b.distance_bias.value_or(none);
    same("relative_attention_num_buckets" + whose, as_number(bias.buckets), as_number(other_bias.buckets));
    same("relative_attention_max_distance" + whose, as_number(bias.max_distance), as_number(other_bias.max_distance));
    rotations(whose, a.rotary.value_or(RotarySpec()), b.rotary.value_or(RotarySpec()));
  }

  void rotations(const std::string& whose, const RotarySpec& ours, const RotarySpec& said) const {
    if (turn_alike(ours, said)) return;
    const auto choices = rotary_choices(ours);
    const auto others = rotary_choices(said);
    for (size_t i = 0; i < std::min(choices.size(), others.size()); ++i)
      same(std::string(choices[i].first) + whose, choices[i].second, others[i].second);
  }

  // Written in the file as a float of few digits, or found from several numbers.
  static double inverse_scale(const AttentionSpec& a) {
    return std::round((a.scale == 0 ? std::sqrt(as_number(a.head_dim)) : 1 / a.scale) * 1e4) / 1e4;
  }

  const std::string& where_;
  const Spec& ours_;
  const Spec& said_;
};

}  // namespace

void check_gguf_says(const GgufContents& file, const GgufArchitecture& architecture, const Spec& spec) {
  const Spec said = spec_of(gguf_config(file));
  Comparison(file.where, spec, said).check();
  const int64_t count = describe(spec).parameters;
  if (const int64_t other = describe(said).parameters; architecture.holds == nullptr && other != count)
    throw Error(file.where,
                fmt::format("GGUF has no words for this {} model of {} parameters: it would be read as one of {}",
                            spec.family, count, other),
                "keep it in its Hugging Face form");
}

std::vector<std::string> llama_cpp_passes_over(const GgufArchitecture& architecture, const Spec& spec,
                                               const GgufMetadata& description) {
  std::vector<const char*> keys = {"rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"};
  if (architecture.window_key && effective_window(spec.stack, 0) > 0) keys.push_back("attention.sliding_window");
  std::vector<std::string> passed_over;
  for (const char* key : keys) {
    const std::string full = fmt::format("{}.{}", architecture.name, key);
    if (const auto found = description.find(full); found != description.end())
      passed_over.push_back(fmt::format("{} = {}", full, found->second.value.dump()));
  }
  return passed_over;
}

}  // namespace qkv
