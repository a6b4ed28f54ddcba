#include "qkv/nn/embeddings.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qkv {

Tensor sinusoidal_positions(int64_t positions, int64_t width, bool inclusive) {
  std::vector<float> values;
  const int64_t half = width / 2;
  const double last = static_cast<double>(inclusive ? std::max<int64_t>(1, half - 1) : half);
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < width; ++i) {
      const double frequency = std::pow(10000.0, -static_cast<double>(i % half) / last);
      const double angle = static_cast<double>(p) * frequency;
      values.push_back(static_cast<float>(i < half ? std::sin(angle) : std::cos(angle)));
    }
  return Tensor::from({positions, width}, values);
}

Embeddings::Embeddings(int64_t vocab, int64_t width, const EmbeddingsSpec& embeddings_spec) : spec(embeddings_spec) {
  const int64_t narrow = projects() ? spec.width : width;
  const int64_t others = projects() && !spec.project_tokens ? narrow : width;
  if (spec.adaptive) {
    adaptive = AdaptiveEmbedding(vocab, width, *spec.adaptive);
  } else {
    token = Tensor::empty({vocab, narrow});
  }
  if (spec.positions > 0 && spec.position_kind == EmbeddingsSpec::Positions::learned)
    position = Tensor::empty({spec.positions, others});
  if (spec.position_kind == EmbeddingsSpec::Positions::axial) {
    axial_rows = Tensor::empty({spec.positions / spec.axial_columns, 1, spec.axial_width});
    axial_columns = Tensor::empty({1, spec.axial_columns, others - spec.axial_width});
  }
  if (spec.token_types > 0) segment = Tensor::empty({spec.token_types, others});
  if (spec.query) query = Tensor::empty({1, 1, width});
  if (spec.norm) norm = Norm(others, *spec.norm);
  if (projects()) projection = Linear(narrow, width, spec.project_bias);
}

// The vectors of the positions, as wide as x and where it lies.
Tensor Embeddings::place(const Context& context, const Tensor& x) const {
  const int64_t width = x.size(-1);
  const Tensor places = context.positions;
  if (spec.position_kind == EmbeddingsSpec::Positions::axial) {
    std::vector<int32_t> rows = places.to_vector<int32_t>(), columns = rows;
    for (int32_t& row : rows) row /= static_cast<int32_t>(spec.axial_columns);
    for (int32_t& column : columns) column %= static_cast<int32_t>(spec.axial_columns);
    const auto looked_up = [&](const std::vector<int32_t>& indices, const Tensor& table) {
      return embedding(Tensor::from(places.shape(), indices),
                       reshape(table, {table.size(0) * table.size(1), table.size(2)}), context.compute);
    };
    return context.tap("hook_pos_embed", concat({looked_up(rows, axial_rows), looked_up(columns, axial_columns)}, 2));
  }
  if (spec.position_kind == EmbeddingsSpec::Positions::sinusoidal && !sinusoids_) {
    sinusoids_ = sinusoidal_positions(spec.positions, width, spec.inclusive_sinusoids);
    // Padding, which is not counted, has no position.
    if (spec.skip_padding && spec.position_offset > 0)
      std::fill_n(sinusoids_.data<float>() + (spec.position_offset - 1) * width, width, 0.0F);
  }
  return context.tap("hook_pos_embed", embedding(places, position ? position : sinusoids_.on(x.device()),
                                                 context.compute, -1, spec.position_offset));
}

Tensor Embeddings::operator()(const Tensor& ids, const Tensor& token_types, const Context& context) const {
  Tensor x = context.tap(
      "hook_embed", spec.adaptive ? adaptive(ids, context) : embedding(ids, token, context.compute, spec.padding_id));
  if (spec.scale != 1) x = scale(x, spec.scale);
  if (projects() && spec.project_tokens) x = projection(x);
  if (segment)
    x = add(x, embedding(token_types ? token_types : Tensor::zeros(ids.shape(), DType::i32), segment, context.compute));
  if (spec.positions > 0) x = add(x, place(context, x));
  if (spec.query && context.streams.targets) {
    const Tensor same = Tensor::zeros(context.streams.targets.shape(), DType::i32);
    x = concat({x, embedding(same, reshape(query, {1, query.size(2)}), context.compute)}, 1);
  }
  if (spec.norm) x = norm(x);
  x = dropout(x, context.training ? spec.dropout : 0, context.dropout_key(-1, 0));
  return projects() && !spec.project_tokens ? projection(x) : x;
}

void Embeddings::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  if (spec.adaptive) {
    adaptive.visit(prefix + "adaptive", visitor);
  } else {
    visitor(prefix + "token", token, Role::embedding);
  }
  if (position) visitor(prefix + "position", position, Role::embedding);
  if (axial_rows) visitor(prefix + "axial_rows", axial_rows, Role::embedding);
  if (axial_columns) visitor(prefix + "axial_columns", axial_columns, Role::embedding);
  if (segment) visitor(prefix + "segment", segment, Role::embedding);
  if (spec.query) visitor(prefix + "query", query, Role::embedding);
  if (spec.norm) norm.visit(prefix + "norm", visitor);
  if (projects()) projection.visit(prefix + "projection", visitor);
}

}  // namespace qkv
