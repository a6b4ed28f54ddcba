#include "qkv/models/pass_kind.h"

namespace qkv {
namespace {

template <typename Rule>
bool all_layers(const Spec& spec, const Rule& rule) {
  for (int64_t i = 0; i < spec.stack.distinct(); ++i)
    if (!rule(spec.stack.layer(i))) return false;
  return true;
}

}  // namespace

bool keeps_keys_alone(const Spec& spec) {
  if (spec.encoder || spec.embeddings.query || spec.stack.past || spec.stack.distances) return false;
  return all_layers(spec, [](const BlockSpec& block) {
    const AttentionSpec& attention = block.attention;
    const bool own_rotation = attention.rotary && attention.rotary->scaling == RotarySpec::Scaling::dynamic;
    return block.attends() && !block.convolution && !attention.relative && !attention.global &&
           !attention.distance_bias && !own_rotation;
  });
}

bool passes_alike(const Spec& spec) {
  return keeps_keys_alone(spec) && !spec.embeddings.adaptive && all_layers(spec, [](const BlockSpec& block) {
           return !block.experts && !block.cross && block.attention.alibi == 0;  // whose slopes a pass makes
         });
}

}  // namespace qkv
