// Attention inside chunks and their neighbours, in the order of positions (local) or in that of hashes (LSH), as
// Reformer has them: Kitaev et al. 2020, arXiv 2001.04451.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/linear.h"

#include <optional>
#include <vector>

namespace qkv {

struct ChunkedAttentionSpec {
  int64_t heads = 1;
  int64_t head_dim = 0;
  bool causal = false;
  int64_t chunk = 64;     // positions of a chunk; a text no longer than one is not cut
  int64_t before = 1;     // chunks that a chunk sees before itself, going round at the ends
  int64_t after = 0;      // and behind
  int64_t multiple = 64;  // texts longer than `shortest` are padded to a multiple of this
  int64_t shortest = 64;
  int64_t hashes = 0;                 // rounds of hashing; 0: local
  std::vector<int64_t> buckets = {};  // their number, as factors, each even
  std::optional<uint64_t> seed;       // of the random R; none: anew for each key of a pass, and each layer
  float dropout = 0;                  // of the probabilities
};

// Local: softmax(q k^T / sqrt(K)) v over the keys of the chunks seen.
// Hashed: queries are keys, k = q / (rms(q) sqrt(K)). In each round, q's bucket is the index of the largest of [q R, -q
// R] with R random; positions are sorted by bucket and then cut. A token sees itself only where it sees nothing else.
// The softmax goes over the keys of all rounds.
struct ChunkedAttention {
  ChunkedAttentionSpec spec;
  Linear in;   // [3 H K, D]: queries, keys, values; hashed: [2 H K, D]
  Linear out;  // [D, H K]

  ChunkedAttention() = default;
  ChunkedAttention(int64_t width, const ChunkedAttentionSpec& chunked_attention_spec);
  // `buckets` holds the hashes, i32 [B, T, H, rounds]: it is filled where it is undefined, so that a second pass over
  // the same x finds what the first found. A cache holds keys and values, and the buckets as a state; with something in
  // it, x is one position: it sees what it would see as the last of the whole text.
  Tensor operator()(const Tensor& x, int64_t layer, const Context& context, Tensor& buckets) const;  // [B,T,D]
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  // Which keys meet which queries: row i of the [B, H, chunks] has `length` queries and `window` keys.
  struct Plan {
    int64_t rounds = 1, chunks = 0, length = 0, window = 0;
    std::vector<int32_t> queries, keys;  // positions
    std::vector<int32_t> places;         // [B, T, H, rounds]: where in `queries` a token stands
  };
  Tensor hashed(const Tensor& q, int64_t layer, const Context& context) const;
  std::vector<int32_t> order_of(const std::vector<int32_t>& buckets, const std::vector<uint8_t>& shown, int64_t row,
                                int64_t head, int64_t round, int64_t known, int64_t length) const;
  Plan plan_for_all(const Tensor& buckets, const std::vector<uint8_t>& shown, int64_t B, int64_t T,
                    int64_t length) const;
  Plan newest_of(const Plan& all, int64_t B, int64_t known) const;
  Tensor attend(const Plan& plan, const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<uint8_t>& shown,
                int64_t first_query, int64_t layer, const Context& context) const;
};

}  // namespace qkv
