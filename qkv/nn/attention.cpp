#include "qkv/nn/attention.h"

#include "qkv/ops/shape.h"

#include <cmath>

namespace qkv {

SelfAttention::SelfAttention(int64_t width, const AttentionSpec& attention_spec)
    : spec(attention_spec),
      qkv(width, (spec.heads + 2 * spec.kv_heads) * spec.head_dim, spec.qkv_bias),
      out(spec.heads * spec.head_dim, width, spec.out_bias, Role::residual_matrix) {
  if (spec.scale == 0) spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.head_dim)));
}

Tensor SelfAttention::operator()(const Tensor& x, int64_t layer, const Context& context,
                                 const RotaryTable* table) const {
  const int64_t B = x.size(0);
  const int64_t T = x.size(1);
  const Tensor fused = reshape(qkv(x), {B, T, spec.heads + 2 * spec.kv_heads, spec.head_dim});
  const std::vector<Tensor> parts = split(fused, 2, {spec.heads, spec.kv_heads, spec.kv_heads});
  Tensor q = context.tap(layer, "attn.hook_q", parts[0]);
  Tensor k = context.tap(layer, "attn.hook_k", parts[1]);
  Tensor v = context.tap(layer, "attn.hook_v", parts[2]);
  if (table != nullptr) {
    q = context.tap(layer, "attn.hook_rot_q", rotary(q, *table, context.positions));
    k = context.tap(layer, "attn.hook_rot_k", rotary(k, *table, context.positions));
  }
  if (context.cache != nullptr) {
    const KeyValueCache::View all = context.cache->append(layer, k, v);
    k = all.keys;
    v = all.values;
  }
  AttentionOptions options{.scale = spec.scale,
                           .causal = spec.causal,
                           .window = spec.window,
                           .key_mask = context.key_mask,
                           .dropout = context.training ? spec.dropout : 0,
                           .key = context.dropout_key(layer, 0)};
  if (spec.scale_by_inverse_layer) options.scale /= static_cast<float>(layer + 1);
  if (context.wants(layer, "attn.hook_pattern"))
    context.tap(layer, "attn.hook_pattern", attention_pattern(q, k, options));
  const Tensor z = context.tap(layer, "attn.hook_z", attention(q, k, v, options));
  return out(reshape(z, {B, T, spec.heads * spec.head_dim}));
}

void SelfAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  qkv.visit(prefix + ".qkv", visitor);
  out.visit(prefix + ".out", visitor);
}

}  // namespace qkv
