#include "qkv/models/bert_encoder.h"

#include "qkv/models/labels_config.h"

namespace qkv {

Spec bert_encoder(const Config& c) {
  const int64_t width = c.size("hidden_size");
  const int64_t heads = c.size("num_attention_heads");
  const int64_t positions = c.size("max_position_embeddings", 512);
  const float dropout = c.probability("hidden_dropout_prob", 0.1F);
  const Activation activation = activation_named(c.text("hidden_act", "gelu"));
  const std::string position_type = c.text("position_embedding_type", "absolute");
  if (position_type != "absolute")
    c.fail("position_embedding_type", "'" + position_type + "' is not supported", "only absolute positions are");
  if (c.flag("is_decoder", false)) c.fail("is_decoder", "is true: this family as a decoder is not supported");
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_eps", 1e-12)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = width % heads == 0 ? width / heads : 0,
                                .dropout = c.probability("attention_probs_dropout_prob", 0.1F)};
  const FeedForwardSpec feed_forward{.width = c.size("intermediate_size", 4 * width), .activation = activation};
  const Task task = task_of(c);
  const bool masked_lm = task == Task::masked_lm || task == Task::pretraining;
  // GGUF files may have no pooler.
  const bool pooled = (task == Task::features && c.flag("add_pooling_layer", true)) || task == Task::pretraining ||
                      task == Task::sequence_classification || task == Task::multiple_choice;
  HeadsSpec head{.language_model = masked_lm,
                 .tied = c.flag("tie_word_embeddings", true),
                 .language_model_bias = masked_lm,
                 .pooler = pooled,
                 .next_sentence = task == Task::pretraining,
                 .labels = label_count(c, task),
                 .problem = label_problem(c),
                 .dropout = c.probability("classifier_dropout", dropout)};
  if (masked_lm) {
    head.transform = activation;
    head.transform_norm = norm;
  }
  return {.task = task,
          .vocab = c.size("vocab_size"),
          .embeddings = {.positions = positions,
                         .token_types = c.size("type_vocab_size", 2),
                         .norm = norm,
                         .dropout = dropout,
                         .padding_id = c.integer("pad_token_id", 0, 0, c.size("vocab_size") - 1)},
          .stack = {.width = width,
                    .layers = c.size("num_hidden_layers"),
                    .max_positions = positions,
                    .block = {Residual::post_norm, norm, attention, feed_forward, dropout}},
          .heads = head,
          .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> bert_encoder_weights(const std::string& base) {
  const std::string layer = base + "encoder.layer.*.";
  const std::string self = layer + "attention.self.";
  std::vector<WeightRule> rules = {{"embeddings.token", {base + "embeddings.word_embeddings.weight"}},
                                   {"embeddings.position", {base + "embeddings.position_embeddings.weight"}},
                                   {"embeddings.segment", {base + "embeddings.token_type_embeddings.weight"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"embeddings.norm" + end, {base + "embeddings.LayerNorm" + end}},
                               {"stack.blocks.*.attention.qkv" + end,
                                {self + "query" + end, self + "key" + end, self + "value" + end}},
                               {"stack.blocks.*.attention.out" + end, {layer + "attention.output.dense" + end}},
                               {"stack.blocks.*.norm1" + end, {layer + "attention.output.LayerNorm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "intermediate.dense" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "output.dense" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "output.LayerNorm" + end}}});
  return rules;
}

Json bert_encoder_config(const Sizes& s, const char* type, const char* architecture) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", type},
          {"architectures", {architecture}},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 512},
          {"hidden_size", width},
          {"num_hidden_layers", s.layers > 0 ? s.layers : 12},
          {"num_attention_heads", s.heads > 0 ? s.heads : 12},
          {"intermediate_size", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", s.dropout},
          {"attention_probs_dropout_prob", s.dropout},
          {"type_vocab_size", 2},
          {"layer_norm_eps", 1e-12},
          {"initializer_range", 0.02},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace qkv
