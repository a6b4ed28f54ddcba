// The gradients of attention by tiles. Probabilities are computed again from each query's log-sum-exp, once by blocks
// that keep a tile of queries while keys pass by, for dq, and once by blocks that keep keys while queries pass by, for
// dk and dv: so no two blocks add to one number, and sums have one order. With p the probabilities, kept what dropout
// multiplies them with, and cap the cap's derivative:
//   ds = p (kept (dout . v) - dout . out),  dq = scale sum_s ds cap k,  dk = scale sum_t ds cap q,  dv = sum_t p kept
//   dout
#pragma once

#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/attention/gradients.h"
#include "qkv/kernels/cuda/attention/scores.h"
#include "qkv/kernels/cuda/attention/tiles.h"
#include "qkv/kernels/cuda/attention/work.h"

#include <type_traits>

namespace qkv::kernels {

// Shared memory: two tiles that stay, two that pass by for each stage, then what Tiles needs.
template <typename Tiles>
inline constexpr size_t backward_shared =
    2 * (Tiles::rows + Tiles::stages * Tiles::columns) * Tiles::stride * sizeof(typename Tiles::T) + Tiles::scratch *
                                                                                                         sizeof(float);

// What a block collects: dq by queries; dk, dv or both by keys.
enum class Collects { dq, dk, dv, dk_dv };

template <typename Tiles, Collects what>
__global__ void __launch_bounds__(Tiles::threads) attention_gradient(const __grid_constant__ Gradients g, int parts) {
  using T = typename Tiles::T;
  constexpr int rows = Tiles::rows, columns = Tiles::columns, stages = Tiles::stages;
  constexpr bool queries_stay = what == Collects::dq;
  constexpr bool of_scores = what != Collects::dv;  // dq and dk come from ds, dv does not
  constexpr bool of_values = what == Collects::dv || what == Collects::dk_dv;
  const Attention& a = g.call.forward;
  const int heads = static_cast<int>(a.heads), kv_heads = static_cast<int>(a.kv_heads), group = heads / kv_heads;
  const int queries = static_cast<int>(a.queries), keys = static_cast<int>(a.keys);
  const Work work = work_of(blockIdx.x, queries_stay ? heads : kv_heads, parts);
  const int b = static_cast<int>(g.first_row) + work.row;
  const int first = (queries_stay ? parts - 1 - work.part : work.part) * rows;  // where most is seen comes first
  const int passing = queries_stay ? keys : queries;
  const Scores any_head(a, b, 0);

  T* const stay_1 = dynamic_shared<T>();            // q or k
  T* const stay_2 = stay_1 + rows * Tiles::stride;  // dout or v
  T* const pass = stay_2 + rows * Tiles::stride;
  float* const scratch = reinterpret_cast<float*>(pass + 2 * stages * columns * Tiles::stride);
  const auto pass_1 = [&](int stage) { return pass + 2 * stage * columns * Tiles::stride; };  // k or q
  const auto pass_2 = [&](int stage) { return pass_1(stage) + columns * Tiles::stride; };     // v or dout
  const auto load = [](T* tile, const HeadRows& from, int begin, int count) {
    load_rows<T, Tiles::width, Tiles::threads>(tile, from, begin, count);
  };

  // Tiles pass by head after head of those that share keys.
  struct Step {
    int h, begin;
  };
  const int last_head = queries_stay ? work.h : (work.h + 1) * group - 1;
  const auto next_seen = [&](Step step) {
    for (; step.h <= last_head; ++step.h, step.begin = 0)
      for (; step.begin < passing; step.begin += columns)
        if (queries_stay ? any_head.any_seen(first, rows, step.begin, columns)
                         : any_head.any_seen(step.begin, columns, first, rows))
          return step;
    return step;
  };
  const auto begin_load = [&](Step step, int stage) {
    if (step.h <= last_head) {
      if constexpr (queries_stay) {
        load(pass_1(stage), key_rows(a, a.k, b, step.h / group), step.begin, columns);
        load(pass_2(stage), key_rows(a, a.v, b, step.h / group), step.begin, columns);
      } else {
        load(pass_1(stage), query_rows(a, a.q, b, step.h), step.begin, columns);
        load(pass_2(stage), query_rows(a, g.call.dout, b, step.h), step.begin, columns);
      }
    }
    cp_async_commit();
  };
  // A query's log-sum-exp and dout . out.
  const auto query_number = [&](const float* numbers, int h, int t) {
    return t < queries ? numbers[(static_cast<int64_t>(b) * heads + h) * queries + t] : 0;
  };

  typename Tiles::Sums from_scores, from_values;
  if constexpr (of_scores) clear<Tiles::own_rows, Tiles::own_sums>(from_scores);
  if constexpr (of_values) clear<Tiles::own_rows, Tiles::own_sums>(from_values);
  float row_shift[Tiles::own_rows], row_delta[Tiles::own_rows];
  if constexpr (queries_stay) {
    load(stay_1, query_rows(a, a.q, b, work.h), first, rows);
    load(stay_2, query_rows(a, g.call.dout, b, work.h), first, rows);
#pragma unroll
    for (int r = 0; r < Tiles::own_rows; ++r) {
      row_shift[r] = query_number(a.logsumexp, work.h, first + Tiles::row(r));
      row_delta[r] = query_number(g.delta, work.h, first + Tiles::row(r));
    }
  } else {
    load(stay_1, key_rows(a, a.k, b, work.h), first, rows);
    if constexpr (of_scores) load(stay_2, key_rows(a, a.v, b, work.h), first, rows);
  }

  Step step = next_seen({queries_stay ? work.h : work.h * group, 0});
  int stage = 0;
  begin_load(step, stage);
  while (step.h <= last_head) {
    const Step next = next_seen({step.h, step.begin + columns});
    if constexpr (stages > 1) {
      begin_load(next, 1 - stage);
      cp_async_wait<1>();
    } else {
      cp_async_wait<0>();
    }
    __syncthreads();
    typename Tiles::Scores p, ds;
    Tiles::multiply(p, stay_1, pass_1(stage));
    if constexpr (of_scores) Tiles::multiply(ds, stay_2, pass_2(stage));
    const Scores scores_of(a, b, step.h);
    const auto set_gradients = [&](auto is_plain) {
#pragma unroll
      for (int c = 0; c < Tiles::own_columns; ++c) {
        const int column = step.begin + Tiles::column(c);
        const float column_shift = queries_stay ? 0 : query_number(a.logsumexp, step.h, column);
        const float column_delta = queries_stay ? 0 : query_number(g.delta, step.h, column);
#pragma unroll
        for (int r = 0; r < Tiles::own_rows; ++r) {
          const int row = first + Tiles::row(r);
          const int t = queries_stay ? row : column, s = queries_stay ? column : row;
          float cap_slope;
          const float score = scores_of.score<is_plain>(p.at(r, c), t, s, cap_slope);
          const float weight = exp_of(score - (queries_stay ? row_shift[r] : column_shift));
          const float kept = is_plain ? 1 : scores_of.kept(t, s);
          p.at(r, c) = weight * kept;
          if constexpr (of_scores) {
            const float gradient = weight * (kept * ds.at(r, c) - (queries_stay ? row_delta[r] : column_delta));
            ds.at(r, c) = gradient * cap_slope;
            if (queries_stay && !is_plain && g.dscores != nullptr && t < queries && s < keys)
              g.dscores[((static_cast<int64_t>(work.row) * heads + step.h) * queries + t) * keys + s] = gradient;
          }
        }
      }
    };
    if (queries_stay ? scores_of.plain(first, rows, step.begin, columns)
                     : scores_of.plain(step.begin, columns, first, rows)) {
      set_gradients(std::true_type());
    } else {
      set_gradients(std::false_type());
    }
    if constexpr (of_scores) Tiles::add_product(from_scores, ds, pass_1(stage), scratch);
    if constexpr (of_values) Tiles::add_product(from_values, p, pass_2(stage), scratch);
    __syncthreads();
    if constexpr (stages > 1) {
      stage = 1 - stage;
    } else {
      begin_load(next, stage);
    }
    step = next;
  }
  cp_async_wait<0>();
  __syncthreads();

  float factors[Tiles::own_rows];
  const auto set_factors = [&](float factor) {
#pragma unroll
    for (float& own : factors) own = factor;
  };
  if constexpr (of_scores) {
    set_factors(a.scale);
    store_sums<Tiles>(from_scores, factors, stay_1,
                      queries_stay ? query_rows(a, g.call.dq, b, work.h) : key_rows(a, g.call.dk, b, work.h), first);
  }
  if constexpr (of_values) {
    set_factors(1);
    store_sums<Tiles>(from_values, factors, stay_2, key_rows(a, g.call.dv, b, work.h), first);
  }
}

template <typename Tiles, Collects what>
void start_gradient(const Gradients& g) {
  const Attention& a = g.call.forward;
  const bool queries_stay = what == Collects::dq;
  const int64_t parts = parts_of(queries_stay ? a.queries : a.keys, Tiles::rows);
  launch("attention_backward", attention_gradient<Tiles, what>,
         {parts * (queries_stay ? a.heads : a.kv_heads) * g.rows}, Tiles::threads, backward_shared<Tiles>, g,
         static_cast<int>(parts));
}

// On tensor cores, T being bf16 or f16.
template <typename T>
void start_dq(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<TensorCoreTiles<T, 64, 1, 64>, Collects::dq>(g);
  if (head_dim <= 96) return start_gradient<TensorCoreTiles<T, 96, 1, 32>, Collects::dq>(g);
  if (head_dim <= 128) return start_gradient<TensorCoreTiles<T, 128, 1, 32>, Collects::dq>(g);
  start_gradient<TensorCoreTiles<T, 256, 1, 16>, Collects::dq>(g);
}

template <typename T>
void start_dk_dv(const Gradients& g) {
  const int64_t head_dim = g.call.forward.head_dim;
  if (head_dim <= 64) return start_gradient<TensorCoreTiles<T, 64, 1, 64>, Collects::dk_dv>(g);
  if (head_dim <= 96) return start_gradient<TensorCoreTiles<T, 96, 1, 32>, Collects::dk_dv>(g);
  if (head_dim <= 128) return start_gradient<TensorCoreTiles<T, 128, 1, 32>, Collects::dk_dv>(g);
  // The sums of both are more than a thread has registers for.
  start_gradient<TensorCoreTiles<T, 256, 1, 16>, Collects::dk>(g);
  start_gradient<TensorCoreTiles<T, 256, 1, 16>, Collects::dv>(g);
}

}  // namespace qkv::kernels
