// Attention and the positions that enter it.
#pragma once

#include "qkv/ops/step_key.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

struct AttentionOptions {
  float scale = 1;
  bool causal = false;
  int64_t window = 0;  // > 0: sees only the last `window` positions, not causal: also as many ahead, and
  int64_t always = 0;  // the first so many keys, at most S - T
  float softcap = 0;   // > 0: scaled scores x become softcap tanh(x / softcap)
  Tensor slopes;       // f32 [H]: ALiBi, adds slopes[h] (key position - query position); may be undefined
  Tensor key_mask;     // u8 [B, S]: 0 hides a key; may be undefined
  Tensor bias;         // f32 [B or 1, H or 1, T or 1, S], added to the scaled scores; may be undefined
  Tensor distances;    // f32 [H, T + S - 1]: adds distances[h, s - t + T - 1], a bias by distance; may be undefined
  float dropout = 0;   // of the probabilities
  StepKey key;
  Tensor key_count;  // i32 [B]: so many keys of a row, the first, are there, read when a replay runs
                     // (tensor/replay.h); T <= 4, no mask, bias or dropout; may be undefined
};

// softmax(scale q k^T + bias) v (Vaswani et al. 2017; computed by blocks as in Dao et al. 2022, the scores never exist
// whole). q [B,T,H,K], k and v [B,S,G,K] with H a multiple of G; the last dimension dense, the others may be strided.
// -> [B, T, H, K], of q's dtype. Query t stands at key position t + S - T. k and v may have a cache's type, f32, bf16
// or q8_0 (K a multiple of 32), whatever q's; then there are no gradients.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);

// Consecutive queries of one sequence whose keys and values lie in pages.
struct PagedRun {
  int64_t first = 0;               // the row of its first query
  int64_t queries = 0;             // which stand at the sequence's last positions
  int64_t keys = 0;                // positions in the pages, those of the queries included
  std::span<const int32_t> pages;  // position s stands in row s % P of pages[s / P]
};

// Runs whose page tables stand in one tensor, so that they go to a device together, and once for all layers.
class PagedRuns {
 public:
  PagedRuns() = default;
  explicit PagedRuns(std::vector<PagedRun> runs);  // copies their tables

  const std::vector<PagedRun>& all() const { return runs_; }
  // Where a run's page table begins on a device.
  const int32_t* table(size_t run, Device device) const;

 private:
  std::vector<PagedRun> runs_;
  Tensor tables_;  // i32, on the host; the runs' pages lie there
};

// One query of each of several sequences, which stands at the last position. Page tables and numbers of keys lie in
// tensors of the host, so that attention can be recorded and replayed (tensor/replay.h) while these change.
struct PagedRows {
  Tensor tables;      // i32 [N, M]: position s of sequence i stands in row s % P of page tables[i, s / P]
  Tensor key_count;   // i32 [N]; a sequence of none gets zeros
  int64_t bound = 0;  // of keys
};

// Causal attention of several sequences of different lengths: q [1, N, H, K], the rows of all runs; keys and values
// [pages, G, P, K], of a cache's type as above. Of the options, scale, window, softcap and slopes count.
// -> [1, N, H, K]. Not differentiable.
Tensor paged_attention(const Tensor& q, const Tensor& keys, const Tensor& values, const PagedRuns& runs,
                       const AttentionOptions& options);
Tensor paged_attention(const Tensor& q, const Tensor& keys, const Tensor& values, const PagedRows& rows,
                       const AttentionOptions& options);

// The probabilities, f32 [B, H, T, S], for looking inside: costs what attention() avoids. Not differentiable.
Tensor attention_pattern(const Tensor& q, const Tensor& k, const AttentionOptions& options);

// Rotary position embedding (Su et al. 2021). cosine, sine: f32 [positions, R/2], R <= K even; x [B,T,H,K];
// positions: i32 [B, T], checked against the table. interleaved: pairs (2i, 2i+1), else (i, i + R/2).
struct RotaryTable {
  Tensor cosine;
  Tensor sine;
  bool interleaved = false;
};
Tensor rotary(const Tensor& x, const RotaryTable& table, const Tensor& positions);

}  // namespace qkv
