#include "qkv/models/bart_encoder_decoder.h"

#include "qkv/models/class_heads.h"

#include <cmath>

namespace qkv {
namespace {

constexpr int64_t position_offset = 2;

StackSpec stack_of(const Config& c, const std::string& part, int64_t width, bool causal) {
  const int64_t heads = c.size((part + "_attention_heads").c_str());
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .causal = causal,
                                .dropout = c.probability("attention_dropout", 0)};
  const FeedForwardSpec feed_forward{.width = c.size((part + "_ffn_dim").c_str(), 4 * width),
                                     .activation = activation_named(c.text("activation_function", "gelu")),
                                     .dropout = c.probability("activation_dropout", 0)};
  const NormSpec norm{NormSpec::Kind::layer, 1e-5F, true};
  StackSpec stack{.width = width,
                  .layers = c.size((part + "_layers").c_str()),
                  .max_positions = c.size("max_position_embeddings", 1024),
                  .block = {Residual::post_norm, norm, attention, feed_forward, c.probability("dropout", 0.1F)}};
  if (causal) {
    stack.block.cross = attention;
    stack.block.cross->causal = false;
  }
  return stack;
}

}  // namespace

Spec bart_encoder_decoder(const Config& c) {
  const int64_t width = c.size("d_model");
  const int64_t vocab = c.size("vocab_size");
  const int64_t padding = c.integer("pad_token_id", 1, -1, vocab - 1);
  const bool scaled = c.flag("scale_embedding", false);
  const EmbeddingsSpec embeddings{.scale = scaled ? static_cast<float>(std::sqrt(static_cast<double>(width))) : 1.0F,
                                  .positions = c.size("max_position_embeddings", 1024) + position_offset,
                                  .position_offset = position_offset,
                                  .norm = NormSpec{NormSpec::Kind::layer, 1e-5F, true},
                                  .dropout = c.probability("dropout", 0.1F),
                                  .padding_id = padding};
  const Task task = task_of(c);
  if (task != Task::sequence_to_sequence && task != Task::features && task != Task::sequence_classification &&
      task != Task::question_answering)
    c.fail("architectures", "names a head that this family does not have here",
           "ForConditionalGeneration, ForSequenceClassification and ForQuestionAnswering are supported");
  HeadsSpec heads = class_heads(c, 0);
  heads.language_model = heads.language_model_bias = heads.fixed_bias = task == Task::sequence_to_sequence;
  heads.tied = c.flag("tie_word_embeddings", true);
  heads.row = HeadsSpec::Row::last_end;
  return {
      .task = task,
      .vocab = vocab,
      .embeddings = embeddings,
      .stack = stack_of(c, "decoder", width, true),
      .heads = heads,
      .encoder = EncoderSpec{.vocab = vocab, .embeddings = embeddings, .stack = stack_of(c, "encoder", width, false)},
      .decoder_start = c.integer("decoder_start_token_id", 2, 0, vocab - 1),
      .padding_id = padding,
      .end_ids = c.has("eos_token_id") ? c.ids("eos_token_id") : std::vector<int64_t>{2},
      .init_std = static_cast<float>(c.positive("init_std", 0.02))};
}

void set_pre_norm(Spec& spec) {
  for (StackSpec* stack : {&spec.stack, &spec.encoder->stack}) {
    stack->block.residual = Residual::pre_norm;
    stack->final_norm = stack->block.norm;
  }
}

void set_sinusoids(Spec& spec) {
  for (EmbeddingsSpec* embeddings : {&spec.embeddings, &spec.encoder->embeddings}) {
    embeddings->positions -= embeddings->position_offset;
    embeddings->position_offset = 0;
    embeddings->position_kind = EmbeddingsSpec::Positions::sinusoidal;
    embeddings->norm.reset();
  }
}

std::vector<WeightRule> bart_encoder_decoder_weights(const Spec& spec) {
  std::vector<WeightRule> rules = {{"heads.language_model.weight", {"lm_head.weight"}},
                                   {"heads.language_model.bias", {"final_logits_bias"}, WeightRule::Layout::one_row}};
  for (WeightRule& rule : class_head_rules(spec, "classification_head", "")) rules.push_back(std::move(rule));
  const bool shared = spec.encoder->shared_tokens;
  for (const bool encoder : {true, false}) {
    const std::string ours = encoder ? "encoder." : "";
    const std::string theirs = encoder ? "model.encoder." : "model.decoder.";
    const std::string layer = theirs + "layers.*.";
    const std::string block = ours + "stack.blocks.*.";
    rules.push_back({ours + "embeddings.token", {shared ? "model.shared.weight" : theirs + "embed_tokens.weight"}});
    rules.push_back({ours + "embeddings.position", {theirs + "embed_positions.weight"}});
    for (const std::string end : {".weight", ".bias"}) {
      const auto joined = [&](const std::string& attention, std::initializer_list<const char*> parts) {
        std::vector<std::string> names;
        for (const char* part : parts) names.push_back(layer + attention + "." + part + "_proj" + end);
        return names;
      };
      rules.insert(rules.end(), {{ours + "embeddings.norm" + end, {theirs + "layernorm_embedding" + end}},
                                 {block + "attention.qkv" + end, joined("self_attn", {"q", "k", "v"})},
                                 {block + "attention.out" + end, joined("self_attn", {"out"})},
                                 {block + "norm1" + end, {layer + "self_attn_layer_norm" + end}},
                                 {block + "cross.q" + end, joined("encoder_attn", {"q"})},
                                 {block + "cross.kv" + end, joined("encoder_attn", {"k", "v"})},
                                 {block + "cross.out" + end, joined("encoder_attn", {"out"})},
                                 {block + "cross_norm" + end, {layer + "encoder_attn_layer_norm" + end}},
                                 {block + "feed_forward.up" + end, {layer + "fc1" + end}},
                                 {block + "feed_forward.down" + end, {layer + "fc2" + end}},
                                 {block + "norm2" + end, {layer + "final_layer_norm" + end}},
                                 {ours + "stack.final_norm" + end, {theirs + "layer_norm" + end}}});
    }
  }
  return rules;
}

std::vector<std::string> bart_encoder_decoder_unused() {
  return {"model.encoder.embed_tokens.weight",    "model.decoder.embed_tokens.weight",    "lm_head.weight",
          "model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight", "model.shared.weight"};
}

Json bart_encoder_decoder_config(const Sizes& s, const char* type, const char* architecture) {
  const int64_t width = s.width > 0 ? s.width : 768;
  Json json = {{"model_type", type},
               {"architectures", {architecture}},
               {"is_encoder_decoder", true},
               {"vocab_size", s.vocab},
               {"max_position_embeddings", s.context > 0 ? s.context : 1024},
               {"d_model", width},
               {"activation_function", "gelu"},
               {"dropout", s.dropout},
               {"attention_dropout", s.dropout},
               {"scale_embedding", false},
               {"init_std", 0.02},
               {"tie_word_embeddings", s.tied}};
  for (const std::string part : {"encoder", "decoder"}) {
    json[part + "_layers"] = s.layers > 0 ? s.layers : 6;
    json[part + "_attention_heads"] = s.heads > 0 ? s.heads : 12;
    json[part + "_ffn_dim"] = s.feed_forward > 0 ? s.feed_forward : 4 * width;
  }
  return json;
}

}  // namespace qkv
