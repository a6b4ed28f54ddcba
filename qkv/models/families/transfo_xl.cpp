// Transformer-XL: memory of earlier segments, relative positions, adaptive embeddings and softmax.
// Dai et al., arXiv 1901.02860.
#include "qkv/models/adaptive_config.h"
#include "qkv/models/family.h"

#include <cmath>

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("d_model");
  const int64_t heads = c.size("n_head");
  const int64_t memory = c.integer("mem_len", 1600, 0, 1 << 30);
  const float dropout = c.probability("dropout", 0.1F);
  const Task task = task_of(c);
  if (task != Task::causal_lm && task != Task::features)
    c.fail("architectures", "names a head that this family does not have yet", "TransfoXLLMHeadModel");
  if (c.integer("attn_type", 0, 0, 3) != 0) c.fail("attn_type", "is not supported", "only 0 is, relative positions");
  if (!c.flag("untie_r", true)) c.fail("untie_r", "is false, which is not supported");
  if (!c.flag("tie_word_embeddings", true)) c.fail("tie_word_embeddings", "is false, which is not supported");
  const bool window = c.flag("same_length", true);
  if (window && memory == 0) c.fail("mem_len", "is 0, which leaves nothing to see where same_length is true");
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_epsilon", 1e-5)), true};
  const AttentionSpec attention{.heads = heads,
                                .kv_heads = heads,
                                .head_dim = c.size("d_head", std::max<int64_t>(1, width / heads)),
                                .causal = true,
                                .qkv_bias = false,
                                .out_bias = false,
                                .window = window ? memory : 0,
                                .relative = RelativeSpec{.global_queries = true, .dropout = dropout},
                                .dropout = c.probability("dropatt", 0)};
  const FeedForwardSpec feed_forward{.width = c.size("d_inner"), .activation = Activation::relu, .dropout = dropout};
  const Residual residual = c.flag("pre_lnorm", false) ? Residual::pre_norm : Residual::post_norm;
  Spec spec{
      .task = task,
      .vocab = c.size("vocab_size"),
      .embeddings = {.adaptive = adaptive_spec(c, task == Task::causal_lm),
                     .scale = static_cast<float>(std::sqrt(static_cast<double>(width))),
                     .dropout = dropout},
      .stack = {.width = width,
                .layers = c.size("n_layer"),
                .block = {residual, norm, attention, feed_forward, dropout},
                .distances = DistancesSpec{.clamp = std::max<int64_t>(0, c.integer("clamp_len", 1000, -1, 1 << 30))}},
      .heads = {.language_model = task == Task::causal_lm,
                .adaptive = task == Task::causal_lm,
                .logits = "prediction_scores"},
      .init_std = static_cast<float>(c.positive("init_std", 0.02))};
  spec.stack.final_dropout = dropout;
  if (memory > 0) spec.stack.past = PastSpec{.length = memory, .zeros = true, .recalled = memory};
  return spec;
}

std::vector<WeightRule> weights(const Spec& spec) {
  const std::string layer = "transformer.layers.*.", theirs = layer + "dec_attn.", ours = "stack.blocks.*.attention.";
  std::vector<WeightRule> rules = {{ours + "qkv.weight", {theirs + "qkv_net.weight"}},
                                   {ours + "out.weight", {theirs + "o_net.weight"}},
                                   {ours + "relative.key.weight", {theirs + "r_net.weight"}},
                                   {ours + "relative.content_bias", {theirs + "r_w_bias"}},
                                   {ours + "relative.position_bias", {theirs + "r_r_bias"}}};
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.norm1" + end, {theirs + "layer_norm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "pos_ff.CoreNet.0" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "pos_ff.CoreNet.3" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "pos_ff.layer_norm" + end}}});
  const AdaptiveSpec& adaptive = *spec.embeddings.adaptive;
  for (int64_t i = 0; i < adaptive.ranges(); ++i) {
    const std::string n = std::to_string(i);
    WeightRule table{"embeddings.adaptive.tables." + n, {"transformer.word_emb.emb_layers." + n + ".weight"}};
    WeightRule bias{"heads.adaptive.biases." + n, {"crit.out_layers." + n + ".bias"}};
    if (const int64_t leading = i == 0 ? adaptive.leading() : 0; leading > 0) {
      const int64_t words = adaptive.division == 1 ? spec.vocab : adaptive.end(0, spec.vocab);
      table.theirs.insert(table.theirs.begin(), "crit.cluster_weight");
      bias.theirs.insert(bias.theirs.begin(), "crit.cluster_bias");
      table.rows = bias.rows = {leading, words};
    }
    rules.insert(rules.end(), {table, bias});
    rules.push_back({"embeddings.adaptive.projections." + n, {"transformer.word_emb.emb_projs." + n}});
    rules.push_back({"heads.adaptive.projections." + n, {"crit.out_projs." + n}});
  }
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 512;
  Json cutoffs = Json::array();
  for (const int64_t cutoff : {20000, 40000, 200000})
    if (cutoff < s.vocab) cutoffs.push_back(cutoff);
  return {{"model_type", "transfo-xl"},
          {"architectures", {"TransfoXLLMHeadModel"}},
          {"vocab_size", s.vocab},
          {"cutoffs", cutoffs},
          {"d_model", width},
          {"d_embed", width},
          {"n_layer", s.layers > 0 ? s.layers : 12},
          {"n_head", s.heads > 0 ? s.heads : 8},
          {"d_inner", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"mem_len", s.context > 0 ? s.context : 512},
          {"div_val", 1},
          {"dropout", s.dropout},
          {"dropatt", s.dropout}};
}

}  // namespace

extern const Family transfo_xl{
    .type = "transfo-xl",
    .name = "Transformer-XL",
    .paper = "Dai et al. 2019, arXiv 1901.02860",
    .spec = spec,
    .weights = weights,
    .unused = {"transformer.pos_emb.inv_freq", "crit.out_layers.*.weight", "crit.out_projs.*"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
