// From token ids to the first activations: tokens, positions, segments.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/norm.h"

#include <optional>

namespace qkv {

struct EmbeddingsSpec {
  int64_t positions = 0;    // learned absolute positions; 0 = none
  int64_t token_types = 0;  // segments; 0 = none
  std::optional<NormSpec> norm;
  float dropout = 0;
  int64_t padding_id = -1;  // this token's embedding is not trained by its occurrences
};

struct Embeddings {
  EmbeddingsSpec spec;
  Tensor token;     // [V, D]
  Tensor position;  // [positions, D]
  Tensor segment;   // [token_types, D]
  Norm norm;

  Embeddings() = default;
  Embeddings(int64_t vocab, int64_t width, const EmbeddingsSpec& embeddings_spec);
  // ids, token_types: i32 [B, T]; undefined token_types are all 0.
  Tensor operator()(const Tensor& ids, const Tensor& token_types, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
