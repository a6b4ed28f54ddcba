// Relative positions by content: besides the keys' contents, a query meets a vector for each key's distance, and
// perhaps one for its segment.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"
#include "qkv/ops/relative_bias.h"

#include <functional>

namespace qkv {

struct RelativeSpec {
  bool to_position = true;     // a query meets the distance's key (Dai et al. 2019, arXiv 1901.02860)
  bool from_position = false;  // a key meets the distance's query (He et al. 2020, arXiv 2006.03654)
  bool shared = false;         // the contents' projections serve the distances too
  bool bias = false;           // of the distances' own projections
  bool global_queries =
      false;             // learned vectors are added to the query, one where it meets contents, one for positions
  int64_t segments = 0;  // 2: a query meets a vector for "same segment" and one for "another" (XLNet)
  float dropout = 0;     // of the distances' embeddings
};

// What all layers of a pass share.
struct RelativeInputs {
  // [P, D]: embeddings of the distances that occur. Each layer makes them, so that one that is run again in the
  // backward pass has a tape of its own.
  std::function<Tensor()> table;
  Tensor places;    // i32 [1 or B, T, S]: row of the table by query and key; negative = hidden
  Tensor segments;  // i32 [1 or B, T, S]: 0 = same, 1 = another; undefined = segments do not enter
};

struct Relative {
  RelativeSpec spec;
  Linear key, query;                                 // of distances, [H K, D]; unused where shared
  Tensor content_bias, position_bias, segment_bias;  // [H, K]
  Tensor segment;                                    // [segments, H, K]

  Relative() = default;
  Relative(int64_t width, int64_t heads, int64_t head_dim, const RelativeSpec& relative_spec);
  // The query as it meets contents.
  Tensor content_query(const Tensor& q) const;
  // The scores' bias f32 [B, H, T, S] for q [B,T,H,K] and k [B,S,H,K]. `contents` projects to queries, keys and values,
  // and serves where the spec shares it.
  Tensor bias(const Tensor& q, const Tensor& k, float scale, const Linear& contents, const RelativeInputs& inputs,
              int64_t layer, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
