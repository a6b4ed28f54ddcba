#include "qkv/models/describe.h"

#include "qkv/models/model.h"

#include <fmt/format.h>

namespace qkv {
namespace {

std::string attention_words(const AttentionSpec& a) {
  std::string text = fmt::format("attention: {} heads of {}", a.heads, a.head_dim);
  if (a.kv_heads != a.heads) text += fmt::format(", {} key/value heads", a.kv_heads);
  text += a.causal ? ", causal" : ", both ways";
  if (a.window > 0) text += fmt::format(", window {}", a.window);
  if (a.alibi != 0) text += ", ALiBi";
  if (a.softcap > 0) text += fmt::format(", scores capped at {:g}", a.softcap);
  if (a.global) text += ", global tokens";
  if (a.relative) text += ", relative positions by content";
  if (a.rotary) text += fmt::format(", rotary positions (base {:g})", a.rotary->base);
  if (a.distance_bias) text += fmt::format(", {} buckets of distances", a.distance_bias->buckets);
  return text;
}

std::string position_words(EmbeddingsSpec::Positions kind) {
  switch (kind) {
    case EmbeddingsSpec::Positions::learned:
      return "learned positions";
    case EmbeddingsSpec::Positions::sinusoidal:
      return "sinusoidal positions";
    case EmbeddingsSpec::Positions::axial:
      return "axial positions";
  }
  return "";
}

std::string mixer_words(const BlockSpec& block) {
  if (block.attends()) return attention_words(block.attention);
  if (block.gated_attention) {
    const GatedAttentionSpec& g = *block.gated_attention;
    return fmt::format("gated attention: {} shared, {} values, moving averages in {} dimensions{}", g.shared, g.value,
                       g.averages, g.chunk > 0 ? fmt::format(", chunks of {}", g.chunk) : "");
  }
  if (block.chunked_attention) {
    const ChunkedAttentionSpec& a = *block.chunked_attention;
    return fmt::format("{} attention: {} heads of {}, {}, chunks of {}", a.hashes > 0 ? "hashed" : "local", a.heads,
                       a.head_dim, a.causal ? "causal" : "both ways", a.chunk);
  }
  return fmt::format("state space: {} channels of {} states, convolution over {}", block.state_space->width,
                     block.state_space->states, block.state_space->taps);
}

std::string feed_forward_words(const BlockSpec& block) {
  const FeedForwardSpec& f = block.feed_forward;
  return fmt::format(
      "feed-forward: {}{} wide, {}{}",
      block.experts ? fmt::format("{} of {} experts, ", block.experts->chosen, block.experts->count) : "", f.width,
      name_of(f.activation), f.gated ? " gate" : "");
}

std::string norm_words(const NormSpec& n) {
  switch (n.kind) {
    case NormSpec::Kind::layer:
      return "layer norm";
    case NormSpec::Kind::rms:
      return "RMS norm";
    case NormSpec::Kind::scale:
      return "scale norm";
    case NormSpec::Kind::weights:
      return "weights";
  }
  return "";
}

std::string cross_words(const AttentionSpec& a) {
  return fmt::format("attention to the encoder: {} heads of {}", a.heads, a.head_dim);
}

// From the tokens through the stack, without what stands on top.
std::string draw_stack(int64_t vocab, const EmbeddingsSpec& embeddings, const StackSpec& stack) {
  const BlockSpec& block = stack.block;
  const std::string norm = norm_words(block.norm);
  std::string text = fmt::format("  tokens ({}) -> embedding {}", vocab, stack.width);
  if (embeddings.positions > 0)
    text += fmt::format(" + {} {}", embeddings.positions, position_words(embeddings.position_kind));
  if (embeddings.token_types > 0) text += fmt::format(" + {} segments", embeddings.token_types);
  if (embeddings.norm) text += " -> " + norm;
  text += fmt::format("\n    |\n  +-+----------------- {} x\n", stack.layers);
  const auto line = [&](const std::string& words) { text += "  | |  " + words + "\n"; };
  switch (block.residual) {
    case Residual::pre_norm:
    case Residual::from_norm:
      line("+-> " + norm + " -> " + mixer_words(block));
      if (block.cross) {
        line("+ <-'");
        line("+-> " + norm + " -> " + cross_words(*block.cross));
      }
      line("+ <-'");
      if (block.feeds()) {
        line("+-> " + norm + " -> " + feed_forward_words(block));
        line("+ <-'");
      }
      break;
    case Residual::post_norm:
      line("+-> " + mixer_words(block));
      if (block.cross) {
        line("+ <-' -> " + norm);
        line("+-> " + cross_words(*block.cross));
      }
      line("+ <-' -> " + norm);
      if (block.feeds()) {
        line("+-> " + feed_forward_words(block));
        line("+ <-' -> " + norm);
      }
      break;
    case Residual::reversible:
      line("+ <- stream 2 -> " + norm + " -> " + mixer_words(block));
      line("stream 2 + <- " + norm + " -> " + feed_forward_words(block));
      break;
    case Residual::parallel:
      line("+-> " + norm + " -> " + attention_words(block.attention));
      line("+-> " + norm + " -> " + feed_forward_words(block));
      line("+ <-' both");
      break;
  }
  return text + "  +-+-----------------\n    |\n";
}

std::string draw(const Spec& spec) {
  std::string text;
  if (spec.encoder) {
    const EncoderSpec& encoder = *spec.encoder;
    text += "encoder\n" + draw_stack(encoder.vocab, encoder.embeddings, encoder.stack);
    text += std::string("  ") + (encoder.stack.final_norm ? norm_words(*encoder.stack.final_norm) + " -> " : "") +
            "read by the decoder\n\ndecoder\n";
  }
  text += draw_stack(spec.vocab, spec.embeddings, spec.stack);
  std::string head = spec.stack.final_norm ? "  " + norm_words(*spec.stack.final_norm) + " -> " : "  ";
  if (spec.heads.language_model)
    head += fmt::format("logits ({}){}", spec.vocab, spec.heads.tied ? ", tied to the embedding" : "");
  if (spec.heads.labels > 0) head += fmt::format("classifier ({})", spec.heads.labels);
  if (spec.heads.next_sentence) head += " and next sentence (2)";
  if (!spec.heads.language_model && spec.heads.labels == 0) head += "hidden states";
  return text + head + "\n";
}

}  // namespace

ModelDescription describe(const Spec& spec) {
  ModelDescription description;
  description.parts = {{"embeddings", 0},
                       {spec.stack.block.attends() ? "attention" : "mixers", 0},
                       {"feed-forward", 0},
                       {"norms", 0},
                       {"heads", 0}};
  const NoMemory no_memory;
  Model(spec).visit([&](const std::string& name, Tensor& value, Role) {
    const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
    const size_t part = name.starts_with("heads.")        ? 4
                        : has("norm")                     ? 3
                        : has(".feed_forward.")           ? 2
                        : name.starts_with("embeddings.") ? 0
                                                          : 1;
    description.parts[part].second += value.numel();
    description.parameters += value.numel();
  });
  const AttentionSpec& a = spec.stack.block.attention;
  if (const auto& gated = spec.stack.block.gated_attention)
    description.cache_numbers_per_token = static_cast<double>(spec.layers() * (gated->shared + gated->value));
  if (const auto& chunked = spec.stack.block.chunked_attention)
    description.cache_numbers_per_token = static_cast<double>(spec.layers() * 2 * chunked->heads * chunked->head_dim);
  if (spec.stack.block.attends())
    description.cache_numbers_per_token = static_cast<double>(spec.layers() * 2 * a.kv_heads * a.head_dim);
  description.drawing = draw(spec);
  return description;
}

std::string families_markdown(const std::map<std::string, std::string>& golden_errors) {
  std::string text =
      "# Families\n\n"
      "Written by `qkv info --families --markdown`. A family is a mapping in `qkv/models/families/`: from a Hugging "
      "Face\n"
      "`config.json` to a Spec, and from its weights' names to ours. The parts named are those of a new model of "
      "it.\n\n"
      "The golden error is the largest difference of an output (logits, hidden states, attention) from the reference\n"
      "library's, relative to the largest value of that output, over the family's cases in `tests/golden/models`; "
      "`--golden`\nmeasures it.\n\n"
      "| type | name | paper | parts | golden error |\n| --- | --- | --- | --- | --- |\n";
  for (const Family* family : all_families()) {
    const Sizes sizes{.vocab = 1000, .context = 512, .layers = 4, .heads = 8, .width = 256};
    const Spec spec = spec_of(Config(family->config(sizes), "families"));
    const BlockSpec& block = spec.stack.block;
    const AttentionSpec& a = spec.stack.layer(spec.stack.distinct() - 1).attention;
    std::vector<std::string> parts;
    parts.emplace_back(spec.encoder ? "encoder-decoder" : block.causal() ? "decoder" : "encoder");
    if (block.state_space) parts.emplace_back("selective state space");
    if (block.gated_attention) parts.emplace_back("moving averages; gated attention");
    if (block.chunked_attention) parts.emplace_back("hashed and local attention in chunks; reversible layers");
    parts.emplace_back(block.residual == Residual::post_norm  ? "post-norm"
                       : block.residual == Residual::parallel ? "parallel branches"
                                                              : "pre-norm");
    parts.push_back(norm_words(block.norm));
    if (block.branch_norm) parts.emplace_back("norms behind branches");
    if (spec.embeddings.positions > 0) parts.push_back(position_words(spec.embeddings.position_kind));
    if (a.rotary) parts.emplace_back(a.rotary->dim < a.head_dim ? "partial rotary positions" : "rotary positions");
    if (a.rotary && a.rotary->interleaved) parts.emplace_back("turned in pairs");
    if (a.window > 0) parts.emplace_back(a.global ? "windows and global tokens" : "windows");
    if (spec.twin) parts.emplace_back("twins for queries and documents");
    if (spec.embeddings.query) parts.emplace_back("a stream of queries");
    if (spec.stack.past) parts.emplace_back("memory of segments");
    if (spec.embeddings.adaptive) parts.emplace_back("adaptive softmax");
    if (a.relative)
      parts.emplace_back(a.relative->from_position ? "disentangled positions" : "relative positions by content");
    if (spec.stack.layer(0).convolution) parts.emplace_back("a convolution");
    if (a.alibi != 0) parts.emplace_back("ALiBi");
    if (a.distance_bias) parts.emplace_back("distances in buckets");
    if (a.kv_heads < a.heads) parts.emplace_back("shared key heads");
    if (!spec.stack.varied.empty()) parts.emplace_back("layers that differ");
    if (!spec.stack.order.empty()) parts.emplace_back("layers that share blocks");
    if (a.head_norm) parts.emplace_back("query and key norms");
    if (a.softcap > 0) parts.emplace_back("capped scores");
    if (spec.stack.experts() != nullptr) parts.emplace_back("experts");
    if (block.feeds())
      parts.push_back(std::string(name_of(block.feed_forward.activation)) +
                      (block.feed_forward.gated ? ", gated" : ""));
    const auto error = golden_errors.find(std::string(family->type));
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", family->type, family->name, family->paper,
                        fmt::join(parts, "; "), error == golden_errors.end() ? "" : error->second);
  }
  return text;
}

}  // namespace qkv
