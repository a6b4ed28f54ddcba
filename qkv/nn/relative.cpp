#include "qkv/nn/relative.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// x [B,T,H,K] with a learned vector [H, K] added at every position.
Tensor shifted(const Tensor& x, const Tensor& by) { return add(x, cast(by, x.dtype())); }

}  // namespace

Relative::Relative(int64_t width, int64_t heads, int64_t head_dim, const RelativeSpec& relative_spec)
    : spec(relative_spec) {
  if (spec.to_position && !spec.shared) key = Linear(width, heads * head_dim, spec.bias);
  if (spec.from_position && !spec.shared) query = Linear(width, heads * head_dim, spec.bias);
  if (spec.global_queries) {
    content_bias = Tensor::empty({heads, head_dim});
    position_bias = Tensor::empty({heads, head_dim});
  }
  if (spec.segments > 0) {
    segment_bias = Tensor::empty({heads, head_dim});
    segment = Tensor::empty({spec.segments, heads, head_dim});
  }
}

Tensor Relative::content_query(const Tensor& q) const { return spec.global_queries ? shifted(q, content_bias) : q; }

Tensor Relative::bias(const Tensor& q, const Tensor& k, float scale, const Linear& contents,
                      const RelativeInputs& inputs, int64_t layer, const Context& context) const {
  const int64_t H = q.size(2);
  const int64_t K = q.size(3);
  const Tensor table = dropout(cast(inputs.table().on(q.device()), q.dtype()), context.training ? spec.dropout : 0,
                               context.dropout_key(layer, 3));
  const auto heads_of = [&](const Linear& projection) { return reshape(projection(table), {table.size(0), H, K}); };
  std::vector<Tensor> shared;
  if (spec.shared) shared = split(reshape(contents(table), {table.size(0), 3 * H, K}), 1, {H, H, H});
  std::vector<RelativeTerm> terms;
  if (spec.to_position)
    terms.push_back({.x = spec.global_queries ? shifted(q, position_bias) : q,
                     .table = spec.shared ? shared[1] : heads_of(key),
                     .places = inputs.places});
  if (spec.from_position)
    terms.push_back(
        {.x = k, .table = spec.shared ? shared[0] : heads_of(query), .places = inputs.places, .by_key = true});
  if (spec.segments > 0 && inputs.segments)
    terms.push_back({.x = shifted(q, segment_bias), .table = cast(segment, q.dtype()), .places = inputs.segments});
  return relative_bias(terms, scale);
}

void Relative::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (key.weight) key.visit(prefix + ".key", visitor);
  if (query.weight) query.visit(prefix + ".query", visitor);
  if (spec.global_queries) {
    visitor(prefix + ".content_bias", content_bias, Role::embedding);
    visitor(prefix + ".position_bias", position_bias, Role::embedding);
  }
  if (spec.segments > 0) {
    visitor(prefix + ".segment_bias", segment_bias, Role::embedding);
    visitor(prefix + ".segment", segment, Role::embedding);
  }
}

}  // namespace qkv
