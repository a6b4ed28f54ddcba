// Reformer: local and hashed attention in chunks, reversible layers, axial positions. Kitaev et al., arXiv 2001.04451.
#include "qkv/models/chunked_config.h"
#include "qkv/models/class_heads.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const Task task = task_of(c);
  const bool lm = task == Task::causal_lm || task == Task::masked_lm;
  if (!lm && task != Task::features && task != Task::sequence_classification && task != Task::question_answering)
    c.fail("architectures", "names a head that this family does not have here", "ReformerModelWithLMHead");
  if (task == Task::causal_lm && !c.flag("is_decoder", false)) c.fail("is_decoder", "must be true for a causal model");
  const int64_t width = c.size("hidden_size", 256), positions = c.size("max_position_embeddings", 4096);
  const float dropout = c.probability("hidden_dropout_prob", 0.05F);
  const NormSpec norm{.eps = static_cast<float>(c.positive("layer_norm_eps", 1e-12))};
  Spec spec{.task = task,
            .vocab = c.size("vocab_size", 320),
            .embeddings = {.positions = positions, .dropout = dropout},
            .stack = {.width = width,
                      .block = {.residual = Residual::reversible,
                                .norm = norm,
                                .feed_forward = {.width = c.size("feed_forward_size", 512),
                                                 .activation = activation_named(c.text("hidden_act", "relu")),
                                                 .dropout = dropout,
                                                 .chunk = c.integer("chunk_size_feed_forward", 0, 0, positions)},
                                .dropout = dropout},
                      .final_norm = norm,
                      .final_dropout = dropout},
            .heads = class_heads(c, dropout),
            .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
  spec.heads.language_model = spec.heads.language_model_bias = lm;
  spec.heads.pooler_width = width;  // of both streams
  set_chunked_attention(c, spec.stack);
  set_axial_positions(c, spec.embeddings, width);
  spec.stack.max_positions = std::min(positions, spec.embeddings.positions);
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string layer = "reformer.encoder.layers.*.", self = layer + "attention.self_attention.";
  std::vector<WeightRule> rules = {
      {"embeddings.token", {"reformer.embeddings.word_embeddings.weight"}},
      {"embeddings.position", {"reformer.embeddings.position_embeddings.embedding.weight"}},
      {"embeddings.axial_rows", {"reformer.embeddings.position_embeddings.weights.0"}},
      {"embeddings.axial_columns", {"reformer.embeddings.position_embeddings.weights.1"}},
      {"stack.blocks.*.mixer.local.weight", {self + "query.weight", self + "key.weight", self + "value.weight"}},
      {"stack.blocks.*.mixer.hashed.weight", {self + "query_key.weight", self + "value.weight"}},
      {"stack.blocks.*.mixer.out.weight", {layer + "attention.output.dense.weight"}},
      {"heads.language_model.weight", {"lm_head.decoder.weight"}},
      {"heads.language_model.bias", {"lm_head.bias"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.norm1" + end, {layer + "attention.layer_norm" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "feed_forward.layer_norm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "feed_forward.dense.dense" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "feed_forward.output.dense" + end}},
                               {"stack.final_norm" + end, {"reformer.encoder.layer_norm" + end}}});
  for (WeightRule& rule : class_head_rules(spec, "classifier", "")) rules.push_back(std::move(rule));
  return rules;
}

Json config(const Sizes& s) {
  const int64_t heads = s.heads > 0 ? s.heads : 4, width = s.width > 0 ? s.width : 256;
  std::vector<std::string> kinds;
  for (int64_t i = 0; i < (s.layers > 0 ? s.layers : 6); ++i) kinds.emplace_back(i % 2 == 0 ? "local" : "lsh");
  return {{"model_type", "reformer"},
          {"architectures", {"ReformerModelWithLMHead"}},
          {"is_decoder", true},
          {"vocab_size", s.vocab},
          {"max_position_embeddings", s.context > 0 ? s.context : 4096},
          {"axial_pos_embds", false},
          {"attn_layers", kinds},
          {"num_hidden_layers", kinds.size()},
          {"num_attention_heads", heads},
          {"attention_head_size", std::max<int64_t>(1, width / heads)},
          {"hidden_size", width},
          {"feed_forward_size", s.feed_forward > 0 ? s.feed_forward : 2 * width},
          {"hidden_dropout_prob", s.dropout},
          {"local_attention_probs_dropout_prob", s.dropout},
          {"lsh_attention_probs_dropout_prob", s.dropout}};
}

}  // namespace

extern const Family reformer{
    .type = "reformer",
    .name = "Reformer",
    .paper = "Kitaev et al. 2020, arXiv 2001.04451",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_head.decoder.bias"},
    .base_prefix = "reformer.",
    .config = config,
};

}  // namespace qkv::families
