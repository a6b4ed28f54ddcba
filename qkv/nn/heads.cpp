#include "qkv/nn/heads.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/shape.h"

namespace qkv {

Heads::Heads(int64_t vocab, int64_t width, const HeadsSpec& heads_spec, const Embeddings& embeddings)
    : spec(heads_spec) {
  const int64_t inner = spec.transform && spec.transform_width > 0 ? spec.transform_width : width;
  if (spec.transform) transform = Linear(width, inner, spec.transform_bias);
  if (spec.transform_norm) transform_norm = Norm(inner, *spec.transform_norm);
  if (spec.adaptive) adaptive = AdaptiveSoftmax(embeddings.adaptive, width);
  if (spec.language_model && !spec.adaptive) {
    if (spec.tied) {
      language_model.weight = embeddings.token;
    } else {
      language_model.weight = Tensor::empty({vocab, inner});
    }
    if (spec.language_model_bias) language_model.bias = Tensor::empty({vocab});
  }
  const int64_t pooled_width = spec.pooler && spec.pooler_width > 0 ? spec.pooler_width : width;
  if (spec.pooler) pooler = Linear(width, pooled_width, true);
  if (spec.projection > 0) projection = Linear(width, spec.projection, false);
  if (spec.next_sentence) next_sentence = Linear(width, 2, true);
  const int64_t classified_width = spec.pooler ? pooled_width : inner;
  if (spec.labels > 0) classifier = Linear(classified_width, spec.labels, spec.classifier_bias);
}

Tensor Heads::transformed(const Tensor& h, const Context& context) const {
  const Tensor scaled = spec.scale == 1 ? h : scale(h, spec.scale);
  const Tensor inner = spec.transform ? transform(scaled, *spec.transform) : scaled;
  return context.tap("unembed.hook_in", spec.transform_norm ? transform_norm(inner) : inner);
}

Tensor Heads::logits(const Tensor& h, const Context& context) const {
  if (spec.adaptive) {
    const Tensor rows = transformed(reshape(h, {h.numel() / h.size(-1), h.size(-1)}), context);
    Shape shape = h.shape();
    const Tensor scores = adaptive.log_probabilities(rows);
    shape.set(-1, scores.size(1));
    return reshape(scores, shape);
  }
  const Tensor x = language_model(transformed(h, context));
  if (spec.logit_softcap == 0) return x;
  return scale(activate(scale(x, 1 / spec.logit_softcap), Activation::tanh), spec.logit_softcap);
}

Tensor Heads::pooled(const Tensor& row, const Context& context) const {
  return pooler(dropout(row, context.training ? spec.pooler_dropout : 0, context.dropout_key(-1, 3)),
                spec.pooler_activation);
}

Tensor Heads::classified(const Tensor& h, const Context& context) const {
  return classifier(qkv::dropout(h, context.training ? spec.dropout : 0, context.dropout_key(-1, 1)));
}

void Heads::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (spec.transform) transform.visit(prefix + "transform", visitor);
  if (spec.transform_norm) transform_norm.visit(prefix + "transform_norm", visitor);
  if (spec.adaptive) adaptive.visit(prefix + "adaptive", visitor);
  if (spec.language_model && !spec.adaptive) {
    if (!spec.tied) visitor(prefix + "language_model.weight", language_model.weight, Role::matrix);
    if (language_model.bias)
      visitor(prefix + "language_model.bias", language_model.bias, spec.fixed_bias ? Role::fixed : Role::bias);
  }
  if (spec.pooler) pooler.visit(prefix + "pooler", visitor);
  if (spec.projection > 0) projection.visit(prefix + "projection", visitor);
  if (spec.next_sentence) next_sentence.visit(prefix + "next_sentence", visitor);
  if (spec.labels > 0) classifier.visit(prefix + "classifier", visitor);
}

}  // namespace qkv
