#include "qkv/models/spec.h"

#include "qkv/core/error.h"

namespace qkv {

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
  const double mixer =
      block.state_space
          ? static_cast<double>(block.state_space->width) *
                static_cast<double>(3 * spec.width() + 2 * block.state_space->rank + 3 * block.state_space->states)
          : 4.0 * static_cast<double>(spec.width()) * static_cast<double>(attention.heads * attention.head_dim);
  const double per_layer =
      mixer + 3.0 * static_cast<double>(spec.width()) * static_cast<double>(spec.stack.block.feed_forward.width);
  const double total = per_layer * static_cast<double>(spec.layers()) +
                       static_cast<double>(spec.vocab) * static_cast<double>(spec.width());
  require(total < static_cast<double>(most_parameters), fmt::format("these sizes give {:.3g} parameters", total));
}

}  // namespace qkv
