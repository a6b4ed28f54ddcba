// Attention by tiles (Dao 2023, arXiv 2307.08691): a block takes a tile of one head's queries over all keys that they
// see, and keeps for each query the highest score so far and sums relative to it.
#pragma once

#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/attention/scores.h"
#include "qkv/kernels/cuda/attention/tiles.h"
#include "qkv/kernels/cuda/attention/work.h"

#include <type_traits>

namespace qkv::kernels {

// Shared memory: queries, then for each stage keys and values, then what Tiles needs.
template <typename Tiles>
inline constexpr size_t forward_shared =
    (Tiles::rows + 2 * Tiles::stages * Tiles::columns) * Tiles::stride * sizeof(typename Tiles::T) + Tiles::scratch *
                                                                                                         sizeof(float);

template <typename Tiles>
__global__ void __launch_bounds__(Tiles::threads) attention_tiles(const __grid_constant__ Calls calls, int parts) {
  using T = typename Tiles::T;
  constexpr int rows = Tiles::rows, columns = Tiles::columns, stages = Tiles::stages;
  const Work work = work_of(blockIdx.x, static_cast<int>(calls.at[0].heads), parts);
  const Attention& a = calls.at[calls.call_of(work.row)];
  const int b = calls.batch_row_of(work.row);
  const int t0 = (parts - 1 - work.part) * rows;  // where queries see most comes first
  if (t0 >= a.queries) return;
  const int keys = static_cast<int>(a.keys);
  const int g = work.h / static_cast<int>(a.heads / a.kv_heads);
  const Scores scores_of(a, b, work.h);
  const HeadRows k = key_rows(a, a.k, b, g), v = key_rows(a, a.v, b, g);

  T* const q_tile = dynamic_shared<T>();
  T* const kv_tiles = q_tile + rows * Tiles::stride;
  float* const scratch = reinterpret_cast<float*>(kv_tiles + 2 * stages * columns * Tiles::stride);
  const auto k_tile = [&](int stage) { return kv_tiles + 2 * stage * columns * Tiles::stride; };
  const auto v_tile = [&](int stage) { return k_tile(stage) + columns * Tiles::stride; };
  const auto begin_load = [&](int s0, int stage) {
    if (s0 < keys) {
      load_rows<T, Tiles::width, Tiles::threads>(k_tile(stage), k, s0, columns);
      load_rows<T, Tiles::width, Tiles::threads>(v_tile(stage), v, s0, columns);
    }
    cp_async_commit();
  };
  const auto next_seen = [&](int s0) {
    while (s0 < keys && !scores_of.any_seen(t0, rows, s0, columns)) s0 += columns;
    return s0;
  };

  float most[Tiles::own_rows], total[Tiles::own_rows];
#pragma unroll
  for (int r = 0; r < Tiles::own_rows; ++r) {
    most[r] = unseen;
    total[r] = 0;
  }
  typename Tiles::Sums sums;
  clear<Tiles::own_rows, Tiles::own_sums>(sums);

  load_rows<T, Tiles::width, Tiles::threads>(q_tile, query_rows(a, a.q, b, work.h), t0, rows);
  int s0 = next_seen(0);
  int stage = 0;
  begin_load(s0, stage);
  while (s0 < keys) {
    const int next = next_seen(s0 + columns);
    if constexpr (stages > 1) {
      begin_load(next, 1 - stage);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    typename Tiles::Scores p;
    Tiles::multiply(p, q_tile, k_tile(stage));
    const auto set_scores = [&](auto is_plain) {
#pragma unroll
      for (int r = 0; r < Tiles::own_rows; ++r)
#pragma unroll
        for (int c = 0; c < Tiles::own_columns; ++c)
          p.at(r, c) = scores_of.score<is_plain>(p.at(r, c), t0 + Tiles::row(r), s0 + Tiles::column(c));
    };
    const bool plain = scores_of.plain(t0, rows, s0, columns);
    if (plain) {
      set_scores(std::true_type());
    } else {
      set_scores(std::false_type());
    }
#pragma unroll
    for (int r = 0; r < Tiles::own_rows; ++r) {
      float highest = most[r];
#pragma unroll
      for (int c = 0; c < Tiles::own_columns; ++c) highest = fmaxf(highest, p.at(r, c));
      highest = reduce_row<Tiles>(highest, Largest());
      const float shift = highest == unseen ? 0 : highest;
      const float factor = exp_of(most[r] - shift);
      most[r] = highest;
      total[r] *= factor;
#pragma unroll
      for (int c = 0; c < Tiles::own_columns; ++c) {
        p.at(r, c) = exp_of(p.at(r, c) - shift);
        total[r] += p.at(r, c);
      }
      if (!plain) {
#pragma unroll
        for (int c = 0; c < Tiles::own_columns; ++c)
          p.at(r, c) *= scores_of.kept(t0 + Tiles::row(r), s0 + Tiles::column(c));
      }
#pragma unroll
      for (int c = 0; c < Tiles::own_sums; ++c) sums.at(r, c) *= factor;
    }
    Tiles::add_product(sums, p, v_tile(stage), scratch);
    __syncthreads();
    if constexpr (stages > 1) {
      stage = 1 - stage;
    } else {
      begin_load(next, stage);
    }
    s0 = next;
  }
  cp_async_wait<0>();

  float inverse[Tiles::own_rows];
#pragma unroll
  for (int r = 0; r < Tiles::own_rows; ++r) {
    total[r] = reduce_row<Tiles>(total[r], Add());
    inverse[r] = total[r] > 0 ? 1 / total[r] : 0;
    const int t = t0 + Tiles::row(r);
    if (a.logsumexp != nullptr && threadIdx.x % Tiles::row_lanes == 0 && t < a.queries)
      a.logsumexp[(b * a.heads + work.h) * a.queries + t] = total[r] > 0 ? most[r] + logf(total[r]) : 0;
  }
  __syncthreads();
  store_sums<Tiles>(sums, inverse, q_tile, query_rows(a, a.out, b, work.h), t0);
}

// Of each head.
template <typename Tiles>
int64_t query_tiles(const Calls& calls) {
  int64_t queries = 0;
  for (int i = 0; i < calls.count; ++i) queries = std::max(queries, calls.at[i].queries);
  return parts_of(queries, Tiles::rows);
}

template <typename Tiles>
int64_t blocks_of(const Calls& calls) {
  return query_tiles<Tiles>(calls) * calls.at[0].heads * calls.rows();
}

template <typename Tiles>
void start_attention(const Calls& calls) {
  launch("attention", attention_tiles<Tiles>, {blocks_of<Tiles>(calls)}, Tiles::threads, forward_shared<Tiles>, calls,
         static_cast<int>(query_tiles<Tiles>(calls)));
}

// Of heads of `width` numbers, T being bf16 or f16. Larger tiles read less of shared memory, which else is what tensor
// cores wait for; smaller ones keep more of a card busy where there is little to do.
template <typename T, int width>
void start_on_tensor_cores(const Calls& calls) {
  constexpr int64_t enough_blocks = 132;
  using Large = TensorCoreTiles<T, width, 2, 32>;
  using Small = TensorCoreTiles<T, width, 1, 64>;
  const bool fills = query_tiles<Small>(calls) > 1 && blocks_of<Large>(calls) >= enough_blocks;
  fills ? start_attention<Large>(calls) : start_attention<Small>(calls);
}

template <typename T>
void start_on_tensor_cores(const Calls& calls) {
  const int64_t head_dim = calls.at[0].head_dim;
  if (head_dim <= 64) return start_on_tensor_cores<T, 64>(calls);
  if (head_dim <= 96) return start_on_tensor_cores<T, 96>(calls);
  if (head_dim <= 128) return start_on_tensor_cores<T, 128>(calls);
  start_attention<TensorCoreTiles<T, 256, 1, 32>>(calls);
}

}  // namespace qkv::kernels
