#include "qkv/models/describe.h"

#include <fmt/format.h>

namespace qkv {
namespace {

std::string attention_words(const AttentionSpec& a) {
  std::string text = fmt::format("attention: {} heads of {}", a.heads, a.head_dim);
  if (a.kv_heads != a.heads) text += fmt::format(", {} key/value heads", a.kv_heads);
  text += a.causal ? ", causal" : ", both ways";
  if (a.window > 0) text += fmt::format(", window {}", a.window);
  if (a.rotary) text += fmt::format(", rotary positions (base {:g})", a.rotary->base);
  return text;
}

std::string feed_forward_words(const FeedForwardSpec& f) {
  return fmt::format("feed-forward: {} wide, {}{}", f.width, name_of(f.activation), f.gated ? " gate" : "");
}

std::string norm_words(const NormSpec& n) { return n.kind == NormSpec::Kind::rms ? "RMS norm" : "layer norm"; }

std::string draw(const Spec& spec) {
  const BlockSpec& block = spec.stack.block;
  const std::string norm = norm_words(block.norm);
  std::string text = fmt::format("  tokens ({}) -> embedding {}", spec.vocab, spec.width());
  if (spec.embeddings.positions > 0) text += fmt::format(" + {} learned positions", spec.embeddings.positions);
  if (spec.embeddings.token_types > 0) text += fmt::format(" + {} segments", spec.embeddings.token_types);
  if (spec.embeddings.norm) text += " -> " + norm;
  text += fmt::format("\n    |\n  +-+----------------- {} x\n", spec.layers());
  const auto line = [&](const std::string& words) { text += "  | |  " + words + "\n"; };
  switch (block.residual) {
    case Residual::pre_norm:
      line("+-> " + norm + " -> " + attention_words(block.attention));
      line("+ <-'");
      line("+-> " + norm + " -> " + feed_forward_words(block.feed_forward));
      line("+ <-'");
      break;
    case Residual::post_norm:
      line("+-> " + attention_words(block.attention));
      line("+ <-' -> " + norm);
      line("+-> " + feed_forward_words(block.feed_forward));
      line("+ <-' -> " + norm);
      break;
    case Residual::parallel:
      line("+-> " + norm + " -> " + attention_words(block.attention));
      line("+-> " + norm + " -> " + feed_forward_words(block.feed_forward));
      line("+ <-' both");
      break;
  }
  text += "  +-+-----------------\n    |\n";
  std::string head = spec.stack.final_norm ? "  " + norm + " -> " : "  ";
  if (spec.heads.language_model)
    head += fmt::format("logits ({}){}", spec.vocab, spec.heads.tied ? ", tied to the embedding" : "");
  if (spec.heads.labels > 0) head += fmt::format("classifier ({})", spec.heads.labels);
  if (spec.heads.next_sentence) head += " and next sentence (2)";
  if (!spec.heads.language_model && spec.heads.labels == 0) head += "hidden states";
  return text + head + "\n";
}

}  // namespace

ModelDescription describe(const Spec& spec) {
  const int64_t D = spec.width();
  const AttentionSpec& a = spec.stack.block.attention;
  const FeedForwardSpec& f = spec.stack.block.feed_forward;
  const int64_t L = spec.layers();
  const auto norm_size = [&](const NormSpec& n) { return n.kind == NormSpec::Kind::layer && n.bias ? 2 * D : D; };
  const auto linear = [](int64_t in, int64_t out, bool bias) { return in * out + (bias ? out : 0); };
  const int64_t embeddings = (spec.vocab + spec.embeddings.positions + spec.embeddings.token_types) * D;
  const int64_t attention = L * (linear(D, (a.heads + 2 * a.kv_heads) * a.head_dim, a.qkv_bias) +
                                 linear(a.heads * a.head_dim, D, a.out_bias));
  const int64_t feed_forward = L * (linear(D, f.gated ? 2 * f.width : f.width, f.bias) + linear(f.width, D, f.bias));
  int64_t norms = L * 2 * norm_size(spec.stack.block.norm);
  if (spec.stack.final_norm) norms += norm_size(spec.stack.block.norm);
  if (spec.embeddings.norm) norms += norm_size(*spec.embeddings.norm);
  int64_t heads = 0;
  const HeadsSpec& h = spec.heads;
  if (h.language_model) heads += (h.tied ? 0 : spec.vocab * D) + (h.language_model_bias ? spec.vocab : 0);
  if (h.language_model && h.transform) heads += linear(D, D, true) + norm_size(h.transform_norm);
  if (h.pooler) heads += linear(D, D, true);
  if (h.next_sentence) heads += linear(D, 2, true);
  if (h.labels > 0) heads += linear(D, h.labels, true);
  ModelDescription description;
  description.parts = {{"embeddings", embeddings},
                       {"attention", attention},
                       {"feed-forward", feed_forward},
                       {"norms", norms},
                       {"heads", heads}};
  for (const auto& [name, count] : description.parts) description.parameters += count;
  description.cache_numbers_per_token = static_cast<double>(L * 2 * a.kv_heads * a.head_dim);
  description.drawing = draw(spec);
  return description;
}

}  // namespace qkv
