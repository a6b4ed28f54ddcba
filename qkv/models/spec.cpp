#include "qkv/models/spec.h"

#include "qkv/core/error.h"

namespace qkv {
namespace {

// About how many parameters what mixes positions has in a block; for bounds, so in floating point.
double mixer_parameters(int64_t model_width, const BlockSpec& block) {
  const double width = static_cast<double>(model_width);
  if (block.state_space) {
    const StateSpaceSpec& s = *block.state_space;
    return static_cast<double>(s.width) * (3 * width + static_cast<double>(2 * s.rank + 3 * s.states + s.taps));
  }
  if (block.gated_attention) {
    const GatedAttentionSpec& g = *block.gated_attention;
    return width * static_cast<double>(3 * g.value + g.shared + 8 * g.averages) + 2 * width * width +
           static_cast<double>(g.distances);
  }
  if (block.chunked_attention)
    return 4 * width * static_cast<double>(block.chunked_attention->heads * block.chunked_attention->head_dim);
  return 4 * width * static_cast<double>(block.attention.heads * block.attention.head_dim);
}

}  // namespace

void check_spec(const Spec& spec, const std::string& where) {
  if (spec.encoder) {
    Spec encoder;
    encoder.vocab = spec.encoder->vocab;
    encoder.embeddings = spec.encoder->embeddings;
    encoder.stack = spec.encoder->stack;
    check_spec(encoder, where);
  }
  const AttentionSpec& attention = spec.stack.block.attention;
  const auto require = [&](bool condition, const std::string& what) {
    if (!condition) throw Error(where, what, "the configuration contradicts itself: check the sizes it gives");
  };
  const BlockSpec& block = spec.stack.block;
  if (block.attends()) {
    require(attention.head_dim > 0,
            fmt::format("width {} is not divisible by {} heads", spec.width(), attention.heads));
    require(attention.heads % attention.kv_heads == 0,
            fmt::format("{} heads cannot share {} key/value heads", attention.heads, attention.kv_heads));
    require(!attention.rotary || (attention.rotary->dim % 2 == 0 && attention.rotary->dim <= attention.head_dim &&
                                  attention.rotary->dim > 0),
            fmt::format("rotary dimension {} does not fit head dimension {}",
                        attention.rotary ? attention.rotary->dim : 0, attention.head_dim));
  }
  constexpr int64_t most_layers = StackSpec::most_layers;
  require(spec.layers() <= most_layers, fmt::format("{} layers; at most {} are supported", spec.layers(), most_layers));
  // A product of sizes beyond this is a damaged file, not a model; it must not become an allocation.
  constexpr int64_t most_parameters = int64_t{1} << 42;
  const double per_layer =
      mixer_parameters(spec.width(), block) +
      3.0 * static_cast<double>(spec.width()) * static_cast<double>(spec.stack.block.feed_forward.width);
  const double total = per_layer * static_cast<double>(spec.layers()) +
                       static_cast<double>(spec.vocab) * static_cast<double>(spec.width());
  require(total < static_cast<double>(most_parameters), fmt::format("these sizes give {:.3g} parameters", total));
}

}  // namespace qkv
