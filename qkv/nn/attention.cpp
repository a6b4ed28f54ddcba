#include "qkv/nn/attention.h"

#include "qkv/ops/shape.h"

#include <cmath>

namespace qkv {

std::vector<float> alibi_slopes(int64_t heads) {
  const auto powers = [](int64_t count, int64_t first, int64_t step, int64_t of) {
    std::vector<float> slopes;
    for (int64_t i = 0; i < count; ++i)
      slopes.push_back(
          static_cast<float>(std::exp2(-8.0 * static_cast<double>(first + i * step) / static_cast<double>(of))));
    return slopes;
  };
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  std::vector<float> slopes = powers(power, 1, 1, power);
  const std::vector<float> rest = powers(heads - power, 1, 2, 2 * power);
  slopes.insert(slopes.end(), rest.begin(), rest.end());
  return slopes;
}

SelfAttention::SelfAttention(int64_t width, const AttentionSpec& attention_spec)
    : spec(attention_spec),
      qkv(spec.apart
              ? Linear(width,
                       {spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.kv_heads * spec.head_dim},
                       spec.qkv_bias)
              : Linear(width, (spec.heads + 2 * spec.kv_heads) * spec.head_dim, spec.qkv_bias)),
      out(spec.heads * spec.head_dim, width, spec.out_bias, Role::residual_matrix) {
  if (spec.head_norm) {
    q_norm = Norm(spec.head_dim, *spec.head_norm);
    k_norm = Norm(spec.head_dim, *spec.head_norm);
  }
  if (spec.global) global = GlobalAttention(width, spec.heads, spec.head_dim, spec.qkv_bias);
  if (spec.relative) relative = Relative(width, spec.heads, spec.head_dim, *spec.relative);
  if (spec.scale == 0) spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.head_dim)));
}

Tensor SelfAttention::operator()(const Tensor& x, int64_t layer, const Context& context,
                                 const LayerInputs& shared) const {
  const int64_t B = x.size(0);
  const int64_t T = x.size(1);
  const int64_t M = shared.past ? shared.past.size(1) : 0;
  const Tensor rows = M > 0 ? concat({shared.past, x}, 1) : x;
  const Tensor fused = reshape(qkv(rows), {B, M + T, spec.heads + 2 * spec.kv_heads, spec.head_dim});
  std::vector<Tensor> parts = split(fused, 2, {spec.heads, spec.kv_heads, spec.kv_heads});
  if (M > 0) parts[0] = split(parts[0], 1, {M, T})[1];
  if (shared.queries > 0)
    for (const size_t i : {1, 2}) parts[i] = split(parts[i], 1, {M + T - shared.queries, shared.queries})[0];
  Tensor q = context.tap(layer, "attn.hook_q", parts[0]);
  Tensor k = context.tap(layer, "attn.hook_k", parts[1]);
  Tensor v = context.tap(layer, "attn.hook_v", parts[2]);
  if (spec.head_norm) {
    q = q_norm(q);
    k = k_norm(k);
  }
  if (spec.rotary) {
    q = context.tap(layer, "attn.hook_rot_q", rotary(q, *shared.rotary, context.positions));
    k = context.tap(layer, "attn.hook_rot_k", rotary(k, *shared.rotary, context.positions));
  }
  AttentionOptions options{.scale = spec.scale,
                           .causal = spec.causal && !context.unmasked,
                           .window = spec.window,
                           .softcap = spec.softcap,
                           .key_mask = context.key_mask,
                           .distances = shared.position_bias,
                           .dropout = context.training ? spec.dropout : 0,
                           .key = context.dropout_key(layer, 0)};
  if (spec.alibi != 0) {
    std::vector<float> slopes = alibi_slopes(spec.heads);
    for (float& slope : slopes) slope *= spec.alibi;
    options.slopes = Tensor::from({spec.heads}, slopes);
  }
  if (spec.scale_by_inverse_layer) options.scale /= static_cast<float>(layer + 1);
  if (context.pages != nullptr) {
    const Tensor z = context.tap(layer, "attn.hook_z", context.pages->attend(layer, q, k, v, options));
    return out(reshape(z, {B, T, spec.heads * spec.head_dim}));
  }
  if (context.cache != nullptr) {
    const KeyValueCache::View all = context.cache->append(layer, k, v);
    const int64_t hidden = shared.keys > 0 ? all.keys.size(1) - shared.keys : 0;
    options.key_count = context.cache->key_count();
    k = all.keys.narrow(1, hidden, all.keys.size(1) - hidden);
    v = all.values.narrow(1, hidden, k.size(1));
  }
  if (spec.relative) {
    options.bias = relative.bias(q, k, spec.scale, qkv, shared.relative, layer, context);
    q = relative.content_query(q);
  }
  if (spec.global && shared.global) {
    const Tensor z = context.tap(layer, "attn.hook_z", global(x, q, k, v, options, shared.global, layer, context));
    return out(reshape(z, {B, T, spec.heads * spec.head_dim}));
  }
  if (context.wants(layer, "attn.hook_pattern"))
    context.tap(layer, "attn.hook_pattern", attention_pattern(q, k, options));
  const Tensor z = context.tap(layer, "attn.hook_z", attention(q, k, v, options));
  return out(reshape(z, {B, T, spec.heads * spec.head_dim}));
}

void SelfAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  qkv.visit(prefix + ".qkv", visitor);
  out.visit(prefix + ".out", visitor);
  if (spec.head_norm) {
    q_norm.visit(prefix + ".q_norm", visitor);
    k_norm.visit(prefix + ".k_norm", visitor);
  }
  if (spec.global) global.visit(prefix + ".global", visitor);
  if (spec.relative) relative.visit(prefix + ".relative", visitor);
}

}  // namespace qkv
