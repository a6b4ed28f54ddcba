#include "qkv/nn/embeddings.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"

namespace qkv {

Embeddings::Embeddings(int64_t vocab, int64_t width, const EmbeddingsSpec& embeddings_spec)
    : spec(embeddings_spec), token(Tensor::empty({vocab, width})) {
  if (spec.positions > 0) position = Tensor::empty({spec.positions, width});
  if (spec.token_types > 0) segment = Tensor::empty({spec.token_types, width});
  if (spec.norm) norm = Norm(width, *spec.norm);
}

Tensor Embeddings::operator()(const Tensor& ids, const Tensor& token_types, const Context& context) const {
  Tensor x = context.tap("hook_embed", embedding(ids, token, context.compute, spec.padding_id));
  if (segment)
    x = add(x, embedding(token_types ? token_types : Tensor::zeros(ids.shape(), DType::i32), segment, context.compute));
  if (position) x = add(x, context.tap("hook_pos_embed", embedding(context.positions, position, context.compute)));
  if (spec.norm) x = norm(x);
  return dropout(x, context.training ? spec.dropout : 0, context.dropout_key(-1, 0));
}

void Embeddings::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  visitor(prefix + "token", token, Role::embedding);
  if (position) visitor(prefix + "position", position, Role::embedding);
  if (segment) visitor(prefix + "segment", segment, Role::embedding);
  if (spec.norm) norm.visit(prefix + "norm", visitor);
}

}  // namespace qkv
