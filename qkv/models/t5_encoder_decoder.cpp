#include "qkv/models/t5_encoder_decoder.h"

#include "qkv/models/class_heads.h"

#include <cmath>

namespace qkv {
namespace {

FeedForwardSpec feed_forward_of(const Config& c) {
  FeedForwardSpec spec{.width = c.size("d_ff", 2048), .bias = false, .dropout = c.probability("dropout_rate", 0.1F)};
  std::string name = c.text("feed_forward_proj", c.text("dense_act_fn", "relu"));
  constexpr std::string_view gate = "gated-";
  spec.gated = name.starts_with(gate);
  if (spec.gated) name = name.substr(gate.size());
  // The gated one of 1.1 is named after the exact function and computes the other.
  spec.activation = spec.gated && name == "gelu" ? Activation::gelu_tanh : activation_named(name);
  return spec;
}

StackSpec stack_of(const Config& c, bool causal) {
  const int64_t heads = c.size("num_heads", 8);
  const float dropout = c.probability("dropout_rate", 0.1F);
  const NormSpec norm{NormSpec::Kind::rms, static_cast<float>(c.positive("layer_norm_epsilon", 1e-6)), false};
  const AttentionSpec attention{
      .heads = heads,
      .kv_heads = heads,
      .head_dim = c.size("d_kv", 64),
      .causal = causal,
      .qkv_bias = false,
      .out_bias = false,
      .scale = 1,
      .distance_bias = DistanceBiasSpec{.buckets = c.integer("relative_attention_num_buckets", 32, 4, 1 << 20),
                                        .max_distance = c.size("relative_attention_max_distance", 128)},
      .dropout = dropout};
  if (attention.distance_bias->max_distance <= attention.distance_bias->buckets / 2)
    c.fail("relative_attention_max_distance", "leaves no distance for the buckets");
  const int64_t layers = c.size("num_layers", 6);
  StackSpec stack{.width = c.size("d_model"),
                  .layers = causal ? c.size("num_decoder_layers", layers) : layers,
                  .block = {Residual::pre_norm, norm, attention, feed_forward_of(c), dropout},
                  .final_norm = norm,
                  .final_dropout = dropout};
  if (causal) {
    stack.block.cross = attention;
    stack.block.cross->causal = false;
    stack.block.cross->distance_bias.reset();
  }
  return stack;
}

}  // namespace

Spec t5_encoder_decoder(const Config& c) {
  const Task task = task_of(c);
  if (task != Task::sequence_to_sequence && task != Task::features && task != Task::sequence_classification &&
      task != Task::token_classification && task != Task::question_answering)
    c.fail("architectures", "names a head that this family does not have here",
           "ForConditionalGeneration, ForSequenceClassification, ForTokenClassification, ForQuestionAnswering and "
           "EncoderModel are supported");
  const int64_t vocab = c.size("vocab_size");
  const EmbeddingsSpec embeddings{.dropout = c.probability("dropout_rate", 0.1F)};
  const int64_t padding = c.integer("pad_token_id", 0, 0, vocab - 1);
  HeadsSpec heads = class_heads(c, 0);
  heads.language_model = task == Task::sequence_to_sequence;
  heads.tied = c.flag("tie_word_embeddings", true);
  heads.row = HeadsSpec::Row::last_end;
  Spec spec{.task = task,
            .vocab = vocab,
            .embeddings = embeddings,
            .stack = stack_of(c, true),
            .heads = heads,
            .encoder = EncoderSpec{.vocab = vocab, .embeddings = embeddings, .stack = stack_of(c, false)},
            .decoder_start = c.integer("decoder_start_token_id", padding, 0, vocab - 1),
            .padding_id = padding,
            .end_ids = c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{1}};
  // These classes have no decoder.
  if (task == Task::token_classification || architecture_of(c).ends_with("EncoderModel")) {
    spec.stack = spec.encoder->stack;
    spec.encoder.reset();
  }
  return spec;
}

std::vector<WeightRule> t5_encoder_decoder_weights(const Spec& spec, const std::string& feed_forward) {
  // Classifiers hold the bare model under a name.
  const bool classifies = spec.task == Task::sequence_classification || spec.task == Task::token_classification;
  const std::string base = classifies ? "transformer." : "";
  std::vector<WeightRule> rules = class_head_rules(spec, "classification_head", "");
  rules.push_back({"embeddings.token", {base + "shared.weight"}});
  rules.push_back({"heads.language_model.weight", {"lm_head.weight"}});
  for (const bool encoder : {true, false}) {
    if (!encoder && !spec.encoder) continue;
    const std::string part = base + (encoder ? "encoder." : "decoder.");
    const std::string ours = encoder && spec.encoder ? "encoder.stack." : "stack.";
    const std::string block = ours + "blocks.*.";
    const auto layer = [&](int i, const std::string& name) {
      return part + "block.*.layer." + std::to_string(i) + "." + name + ".weight";
    };
    const int last = encoder ? 1 : 2;
    const StackSpec& stack = encoder && spec.encoder ? spec.encoder->stack : spec.stack;
    std::vector<std::string> up = {layer(last, feed_forward + ".wi")};
    if (stack.block.feed_forward.gated) up = {layer(last, feed_forward + ".wi_0"), layer(last, feed_forward + ".wi_1")};
    rules.insert(rules.end(),
                 {{block + "norm1.weight", {layer(0, "layer_norm")}},
                  {block + "attention.qkv.weight",
                   {layer(0, "SelfAttention.q"), layer(0, "SelfAttention.k"), layer(0, "SelfAttention.v")}},
                  {block + "attention.out.weight", {layer(0, "SelfAttention.o")}},
                  {block + "cross_norm.weight", {layer(1, "layer_norm")}},
                  {block + "cross.q.weight", {layer(1, "EncDecAttention.q")}},
                  {block + "cross.kv.weight", {layer(1, "EncDecAttention.k"), layer(1, "EncDecAttention.v")}},
                  {block + "cross.out.weight", {layer(1, "EncDecAttention.o")}},
                  {block + "norm2.weight", {layer(last, "layer_norm")}},
                  {block + "feed_forward.up.weight", up},
                  {block + "feed_forward.down.weight", {layer(last, feed_forward + ".wo")}},
                  {ours + "distance_bias", {part + "block.0.layer.0.SelfAttention.relative_attention_bias.weight"}},
                  {ours + "final_norm.weight", {part + "final_layer_norm.weight"}}});
  }
  return rules;
}

std::vector<std::string> t5_encoder_decoder_unused() {
  std::vector<std::string> names = {"lm_head.weight"};
  for (const std::string base : {"", "transformer."})
    for (const char* name : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
                             "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"})
      names.push_back(base + name);
  return names;
}

Json t5_encoder_decoder_config(const Sizes& s, const char* type, const char* architecture) {
  const int64_t width = s.width > 0 ? s.width : 512;
  const int64_t heads = s.heads > 0 ? s.heads : 8;
  const int64_t layers = s.layers > 0 ? s.layers : 6;
  return {{"model_type", type},
          {"architectures", {architecture}},
          {"is_encoder_decoder", true},
          {"vocab_size", s.vocab},
          {"d_model", width},
          {"d_kv", width % heads == 0 ? width / heads : 64},
          {"d_ff", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"num_layers", layers},
          {"num_decoder_layers", layers},
          {"num_heads", heads},
          {"relative_attention_num_buckets", 32},
          {"relative_attention_max_distance", 128},
          {"dropout_rate", s.dropout},
          {"feed_forward_proj", "relu"},
          {"layer_norm_epsilon", 1e-6},
          {"pad_token_id", 0},
          {"decoder_start_token_id", 0},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace qkv
