// From token ids to the first activations: tokens, positions, segments.
#pragma once

#include "qkv/nn/adaptive.h"
#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/norm.h"

#include <optional>

namespace qkv {

struct EmbeddingsSpec {
  int64_t width = 0;            // of the tables, where it differs from the model's: a projection follows (ALBERT)
  bool project_tokens = false;  // only the tokens are narrow and projected; positions are not (OPT)
  bool project_bias = false;
  std::optional<AdaptiveSpec> adaptive;  // of the tokens; `width` and the projection are its own then
  float scale = 1;                       // of the tokens' embeddings
  int64_t positions = 0;                 // absolute positions; 0 = none
  int64_t position_offset = 0;           // rows of the table before position 0's; 0 for axial ones
  bool skip_padding = false;             // positions count tokens other than padding_id only (RoBERTa)
  // axial: position p = i columns + j has row i of one table beside row j of another (Kitaev et al. 2020).
  enum class Positions : uint8_t { learned, sinusoidal, axial };
  Positions position_kind = Positions::learned;
  bool inclusive_sinusoids = false;  // the lowest frequency is 1 / 10000 itself (tensor2tensor, fairseq)
  int64_t axial_columns = 0;         // axial: how many columns, and the width of the rows' table
  int64_t axial_width = 0;
  int64_t token_types = 0;  // segments; 0 = none
  bool query = false;       // queries of the context's streams start from one learned vector (XLNet)
  std::optional<NormSpec> norm;
  float dropout = 0;
  int64_t padding_id = -1;  // this token's embedding is not trained by its occurrences
};

// Sines and cosines (Vaswani et al. 2017), [positions, width]: row p is sin(p f_i) for all i, then cos(p f_i), with
// f_i = 10000^(-2i / width), or, inclusive, 10000^(-i / (width / 2 - 1)).
Tensor sinusoidal_positions(int64_t positions, int64_t width, bool inclusive = false);

struct Embeddings {
  EmbeddingsSpec spec;
  Tensor token;  // [V, E], or
  AdaptiveEmbedding adaptive;
  Tensor position;                   // [positions, E], or [positions, D] where only tokens are projected
  Tensor segment;                    // likewise
  Tensor axial_rows, axial_columns;  // [positions / columns, 1, W], [1, columns, D - W]
  Tensor query;                      // [1, 1, D]
  Norm norm;
  Linear projection;  // [D, E]

  Embeddings() = default;
  Embeddings(int64_t vocab, int64_t width, const EmbeddingsSpec& embeddings_spec);
  // ids, token_types: i32 [B, T]; undefined token_types are all 0. Queries of the context's streams stand behind.
  Tensor operator()(const Tensor& ids, const Tensor& token_types, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  bool projects() const { return spec.width > 0; }
  Tensor place(const Context& context, const Tensor& x) const;
  mutable Tensor sinusoids_;  // made at first use
};

}  // namespace qkv
