// XLNet: a Transformer-XL that predicts in any order, from queries that know their position but not their token.
// Yang et al., arXiv 1906.08237.
#include "qkv/models/family.h"
#include "qkv/models/labels_config.h"

namespace qkv::families {
namespace {

Spec spec(const Config& c) {
  const int64_t width = c.size("d_model");
  const int64_t heads = c.size("n_head");
  const int64_t head_dim = c.size("d_head", std::max<int64_t>(1, width / heads));
  const float dropout = c.probability("dropout", 0.1F);
  const Task named = task_of(c);
  // Its language model predicts the labels' own positions.
  const Task task = named == Task::causal_lm ? Task::masked_lm : named;
  const bool beams = task == Task::question_answering && !architecture_of(c).ends_with("Simple");
  if (task == Task::pretraining || beams)
    c.fail("architectures", "names a head that this family does not have here", "of spans, ForQuestionAnsweringSimple");
  if (c.text("attn_type", "bi") != "bi") c.fail("attn_type", "'uni' is not supported", "only 'bi' is");
  if (c.flag("bi_data", false)) c.fail("bi_data", "is true, which is not supported");
  if (c.integer("reuse_len", 0, 0, 1 << 30) > 0) c.fail("reuse_len", "is not supported");
  const bool pooled = task == Task::sequence_classification || task == Task::multiple_choice;
  if (pooled && (c.text("summary_type", "last") != "last" || !c.flag("summary_use_proj", true)))
    c.fail("summary_type", "must be 'last', with a projection");
  const NormSpec norm{NormSpec::Kind::layer, static_cast<float>(c.positive("layer_norm_eps", 1e-12)), true};
  const AttentionSpec attention{
      .heads = heads,
      .kv_heads = heads,
      .head_dim = head_dim,
      .qkv_bias = false,
      .out_bias = false,
      .relative = RelativeSpec{.global_queries = true, .segments = 2, .dropout = dropout},
      .dropout = dropout,
  };
  const FeedForwardSpec feed_forward{
      .width = c.size("d_inner"), .activation = activation_named(c.text("ff_activation", "gelu")), .dropout = dropout};
  const int64_t remembered = c.integer("mem_len", c.json().contains("mem_len") ? 0 : 512, 0, 1 << 30);
  return {
      .task = task,
      .vocab = c.size("vocab_size"),
      .embeddings = {.query = true, .dropout = dropout},
      .stack = {.width = width,
                .layers = c.size("n_layer"),
                .block = {Residual::post_norm, norm, attention, feed_forward, dropout},
                .distances = DistancesSpec{.clamp = std::max<int64_t>(0, c.integer("clamp_len", -1, -1, 1 << 30))},
                // Of what is remembered while generating, two positions are read again: the last token and the next.
                .past = PastSpec{.length = remembered,
                                 .recalled = remembered > 0 ? std::max<int64_t>(0, remembered - 2) : -1,
                                 .rereads = true},
                .final_dropout = dropout},
      .heads = {.language_model = task == Task::masked_lm,
                .tied = c.flag("tie_word_embeddings", true),
                .language_model_bias = true,
                .row = HeadsSpec::Row::last,
                .pooler = pooled,
                .pooler_activation = activation_named(c.text("summary_activation", "tanh")),
                .labels = label_count(c, task),
                .problem = label_problem(c),
                .dropout = pooled ? c.probability("summary_last_dropout", 0.1F) : 0},
      .init_std = static_cast<float>(c.positive("initializer_range", 0.02))};
}

std::vector<WeightRule> weights(const Spec& spec) {
  using Layout = WeightRule::Layout;
  const std::string layer = "transformer.layer.*.", theirs = layer + "rel_attn.", ours = "stack.blocks.*.attention.";
  std::vector<WeightRule> rules = {
      {"embeddings.token", {"transformer.word_embedding.weight"}},
      {"embeddings.query", {"transformer.mask_emb"}},
      {ours + "qkv.weight", {theirs + "q", theirs + "k", theirs + "v"}, Layout::heads_last},
      {ours + "out.weight", {theirs + "o"}, Layout::heads_split},
      {ours + "relative.key.weight", {theirs + "r"}, Layout::heads_last},
      {ours + "relative.content_bias", {theirs + "r_w_bias"}},
      {ours + "relative.position_bias", {theirs + "r_r_bias"}},
      {ours + "relative.segment_bias", {theirs + "r_s_bias"}},
      {ours + "relative.segment", {theirs + "seg_embed"}}};
  const std::string classifier = spec.heads.pooler                       ? "logits_proj"
                                 : spec.task == Task::question_answering ? "qa_outputs"
                                                                         : "classifier";
  for (const std::string end : {".weight", ".bias"})
    rules.insert(rules.end(), {{"stack.blocks.*.norm1" + end, {theirs + "layer_norm" + end}},
                               {"stack.blocks.*.feed_forward.up" + end, {layer + "ff.layer_1" + end}},
                               {"stack.blocks.*.feed_forward.down" + end, {layer + "ff.layer_2" + end}},
                               {"stack.blocks.*.norm2" + end, {layer + "ff.layer_norm" + end}},
                               {"heads.language_model" + end, {"lm_loss" + end}},
                               {"heads.pooler" + end, {"sequence_summary.summary" + end}},
                               {"heads.classifier" + end, {classifier + end}}});
  return rules;
}

Json config(const Sizes& s) {
  const int64_t width = s.width > 0 ? s.width : 768;
  return {{"model_type", "xlnet"},
          {"architectures", {"XLNetLMHeadModel"}},
          {"vocab_size", s.vocab},
          {"d_model", width},
          {"n_layer", s.layers > 0 ? s.layers : 12},
          {"n_head", s.heads > 0 ? s.heads : 12},
          {"d_inner", s.feed_forward > 0 ? s.feed_forward : 4 * width},
          {"ff_activation", "gelu"},
          {"mem_len", s.context > 0 ? s.context : 512},
          {"dropout", s.dropout},
          {"tie_word_embeddings", s.tied}};
}

}  // namespace

extern const Family xlnet{
    .type = "xlnet",
    .name = "XLNet",
    .paper = "Yang et al. 2019, arXiv 1906.08237",
    .spec = spec,
    .weights = weights,
    .unused = {"lm_loss.weight"},
    .base_prefix = "transformer.",
    .config = config,
};

}  // namespace qkv::families
