#include "qkv/nn/cross_attention.h"

#include "qkv/ops/shape.h"

#include <cmath>

namespace qkv {

CrossAttention::CrossAttention(int64_t width, int64_t memory_width, const AttentionSpec& attention_spec)
    : spec(attention_spec),
      q(width, spec.heads * spec.head_dim, spec.qkv_bias),
      kv(spec.apart
             ? Linear(memory_width, {spec.kv_heads * spec.head_dim, spec.kv_heads * spec.head_dim}, spec.qkv_bias)
             : Linear(memory_width, 2 * spec.kv_heads * spec.head_dim, spec.qkv_bias)),
      out(spec.heads * spec.head_dim, width, spec.out_bias, Role::residual_matrix) {
  if (spec.scale == 0) spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.head_dim)));
}

Tensor CrossAttention::operator()(const Tensor& x, int64_t layer, const Context& context,
                                  const LayerInputs& shared) const {
  const int64_t B = x.size(0);
  const int64_t T = x.size(1);
  KeyValueCache::View memory;
  Tensor mask = shared.memory_mask;
  if (context.cache != nullptr && context.cache->memory(layer).keys) {
    memory = context.cache->memory(layer);
    mask = context.cache->memory_mask;
  } else {
    const Tensor& source = shared.memory;
    const std::vector<Tensor> parts =
        split(reshape(kv(source), {source.size(0), source.size(1), 2 * spec.kv_heads, spec.head_dim}), 2,
              {spec.kv_heads, spec.kv_heads});
    memory = {context.tap(layer, "cross_attn.hook_k", parts[0]), context.tap(layer, "cross_attn.hook_v", parts[1])};
    if (context.cache != nullptr) {
      memory = {contiguous(memory.keys), contiguous(memory.values)};
      context.cache->set_memory(layer, memory);
      context.cache->memory_mask = mask;
    }
  }
  // Rows of one memory are queries beside each other: none sees another, and the memory is read once for all.
  const int64_t M = memory.keys.size(0);
  const Tensor queries =
      context.tap(layer, "cross_attn.hook_q", reshape(q(x), {M, B / M * T, spec.heads, spec.head_dim}));
  const AttentionOptions options{.scale = spec.scale,
                                 .key_mask = mask,
                                 .dropout = context.training ? spec.dropout : 0,
                                 .key = context.dropout_key(layer, 3)};
  if (context.wants(layer, "cross_attn.hook_pattern"))
    context.tap(layer, "cross_attn.hook_pattern", attention_pattern(queries, memory.keys, options));
  const Tensor z = context.tap(layer, "cross_attn.hook_z", attention(queries, memory.keys, memory.values, options));
  return out(reshape(z, {B, T, spec.heads * spec.head_dim}));
}

void CrossAttention::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  q.visit(prefix + ".q", visitor);
  kv.visit(prefix + ".kv", visitor);
  out.visit(prefix + ".out", visitor);
}

}  // namespace qkv
