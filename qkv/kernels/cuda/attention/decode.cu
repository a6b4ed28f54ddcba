// Attention of few queries, as when a text is written: reading keys and values is all the work, so a block takes part
// of the keys of one of their heads, for all queries and heads that share them, and what the parts found is joined
// after.
#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/attention/rows.h"
#include "qkv/kernels/cuda/attention/scores.h"
#include "qkv/kernels/cuda/attention/work.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 128, warps = threads / warp_threads;
constexpr int columns = warp_threads;  // keys of a tile: a lane's each
constexpr int64_t least_part = 128;    // keys that are worth a block
constexpr int64_t enough_blocks = 264;

// How a launch divides its calls. A "row" is one query of one head; rows that share keys stand together.
struct Division {
  int chunks;       // of rows
  int parts;        // of keys, at most
  int part;         // keys of each
  int64_t queries;  // at most
  int64_t heads, head_dim;
  float* found;  // [row, head, query, part, 2 + head_dim]: the highest score, sum of exp, sums of values

  __device__ float* place(int64_t row, int64_t h, int64_t t, int64_t p) const {
    return found + (((row * heads + h) * queries + t) * parts + p) * (2 + head_dim);
  }
  __device__ int parts_of_row(const Attention& a, int b) const {
    return max(1, (key_count_of(a, b) + part - 1) / part);
  }
};

static_assert(sizeof(Calls) + sizeof(Division) <= 4096);  // a kernel's arguments

struct Row {
  int h, t;
};

__device__ void store_result(const Attention& a, int b, Row row, int d, float value) {
  store_number(a.out.data, a.type, head_begin(a.out, b, row.h) + row.t * a.out.time_stride + d, value);
}
__device__ void store_logsumexp(const Attention& a, int b, Row row, float most, float total) {
  if (a.logsumexp != nullptr)
    a.logsumexp[(b * a.heads + row.h) * a.queries + row.t] = total > 0 ? most + logf(total) : 0;
}

// T: the numbers in tiles. `rows`: how many a block takes at once.
template <typename T, int width, int rows>
struct DecodeShared {
  T k[columns * tile_stride<T, width>];
  T v[columns * tile_stride<T, width>];
  float q[rows][width];
  float p[columns][rows];
  float factor[rows], most[rows], total[rows];
};

template <typename T, int width, int rows>
__global__ void __launch_bounds__(threads) decode_part(const __grid_constant__ Calls calls, Division division) {
  constexpr int stride = tile_stride<T, width>, count = vector_count<T>;
  constexpr int own_rows = (rows + warps - 1) / warps;
  auto& shared = *dynamic_shared<DecodeShared<T, width, rows>>();
  const int kv_heads = static_cast<int>(calls.at[0].kv_heads);
  const Work work = work_of(blockIdx.x, kv_heads, division.chunks * division.parts);
  const Attention& a = calls.at[calls.call_of(work.row)];
  const int b = calls.batch_row_of(work.row);
  const int part = work.part / division.chunks;
  const int group = static_cast<int>(a.heads) / kv_heads;
  const int first_row = work.part % division.chunks * rows;
  const int row_count = min(rows, static_cast<int>(a.queries) * group - first_row);
  const int parts = division.parts_of_row(a, b);
  if (row_count <= 0 || part >= parts) return;
  const auto row_at = [&](int r) { return Row{work.h * group + (first_row + r) % group, (first_row + r) / group}; };
  const int tid = static_cast<int>(threadIdx.x), warp = tid / warp_threads, lane = tid % warp_threads;
  const int end = min(key_count_of(a, b), (part + 1) * division.part);
  const HeadRows k = key_rows(a, a.k, b, work.h), v = key_rows(a, a.v, b, work.h);
  const Scores any_head(a, b, 0);
  const auto next_seen = [&](int s0) {
    while (s0 < end && !any_head.any_seen(0, static_cast<int>(a.queries), s0, columns)) s0 += columns;
    return s0;
  };
  const auto begin_load = [&](T* tile, const HeadRows& x, int s0) {
    if (s0 < end) load_rows<T, width, threads>(tile, x, s0, columns);
    cp_async_commit();
  };

  int s0 = next_seen(part * division.part);
  begin_load(shared.k, k, s0);
  begin_load(shared.v, v, s0);
  for (int i = tid; i < rows * width; i += threads) {
    const int r = i / width, d = i % width;
    float number = 0;
    if (r < row_count && d < a.head_dim) {
      const HeadRows q = query_rows(a, a.q, b, row_at(r).h);
      number = q.number(q.offset(row_at(r).t) + d);
    }
    shared.q[r][d] = number;
  }

  // In scores a warp has rows, and a lane a key; in sums a thread has two columns of all rows, and some of the keys.
  float most[own_rows], total[own_rows];
#pragma unroll
  for (int i = 0; i < own_rows; ++i) {
    most[i] = unseen;
    total[i] = 0;
  }
  constexpr int pairs = width / 2, groups = threads / pairs;
  const int d0 = tid % pairs * 2, own_group = tid / pairs;
  float sums[rows][2] = {};
  while (s0 < end) {
    cp_async_wait<1>();
    __syncthreads();
#pragma unroll
    for (int i = 0; i < own_rows; ++i) {
      const int r = warp + i * warps;
      if (r >= row_count) continue;
      float dot = 0;
#pragma unroll 4
      for (int d = 0; d < width; d += count) {
        const Vector<T> key = load_vector<count>(shared.k + lane * stride + d);
#pragma unroll
        for (int j = 0; j < count; ++j) dot = fmaf(to_float(key.at[j]), shared.q[r][d + j], dot);
      }
      const Row row = row_at(r);
      const float score = Scores(a, b, row.h).score(dot, row.t, s0 + lane);
      const float highest = fmaxf(most[i], reduce_warp(score, Largest()));
      const float shift = highest == unseen ? 0 : highest;
      const float weight = exp_of(score - shift);
      const float factor = exp_of(most[i] - shift);
      total[i] = total[i] * factor + reduce_warp(weight, Add());
      most[i] = highest;
      shared.p[lane][r] = weight;
      if (lane == 0) shared.factor[r] = factor;
    }
    const int next = next_seen(s0 + columns);
    cp_async_wait<0>();
    __syncthreads();
    begin_load(shared.k, k, next);
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      if (r >= row_count) break;
      sums[r][0] *= shared.factor[r];
      sums[r][1] *= shared.factor[r];
    }
    for (int s = own_group; s < columns; s += groups) {
      const float first = to_float(shared.v[s * stride + d0]), second = to_float(shared.v[s * stride + d0 + 1]);
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        if (r >= row_count) break;
        sums[r][0] = fmaf(shared.p[s][r], first, sums[r][0]);
        sums[r][1] = fmaf(shared.p[s][r], second, sums[r][1]);
      }
    }
    __syncthreads();
    begin_load(shared.v, v, next);
    s0 = next;
  }
  cp_async_wait<0>();
  __syncthreads();

  // The groups' sums meet where the tiles were.
  float* const met = reinterpret_cast<float*>(shared.k);
  static_assert(groups * rows * width * sizeof(float) <= sizeof(shared.k) + sizeof(shared.v));
#pragma unroll
  for (int r = 0; r < rows; ++r) {
    met[(own_group * rows + r) * width + d0] = sums[r][0];
    met[(own_group * rows + r) * width + d0 + 1] = sums[r][1];
  }
#pragma unroll
  for (int i = 0; i < own_rows; ++i) {
    const int r = warp + i * warps;
    if (r >= row_count || lane != 0) continue;
    shared.most[r] = most[i];
    shared.total[r] = total[i];
  }
  __syncthreads();
  for (int i = tid; i < row_count * width; i += threads) {
    const int r = i / width, d = i % width;
    if (d >= a.head_dim) continue;
    float sum = 0;
    for (int j = 0; j < groups; ++j) sum += met[(j * rows + r) * width + d];
    const Row row = row_at(r);
    if (parts == 1) {
      store_result(a, b, row, d, shared.total[r] > 0 ? sum / shared.total[r] : 0);
      if (d == 0) store_logsumexp(a, b, row, shared.most[r], shared.total[r]);
    } else {
      float* to = division.place(work.row, row.h, row.t, part);
      to[2 + d] = sum;
      if (d == 0) {
        to[0] = shared.most[r];
        to[1] = shared.total[r];
      }
    }
  }
}

// One query of one head: the parts' sums relative to the highest score of all.
__global__ void __launch_bounds__(threads) join_parts(const __grid_constant__ Calls calls, Division division) {
  const Work work = work_of(blockIdx.x, static_cast<int>(division.heads), static_cast<int>(division.queries));
  const Attention& a = calls.at[calls.call_of(work.row)];
  const int b = calls.batch_row_of(work.row);
  const int parts = division.parts_of_row(a, b);
  if (work.part >= a.queries || parts == 1) return;
  const Row row{work.h, work.part};
  const auto part_at = [&](int p) { return division.place(work.row, row.h, row.t, p); };
  float most = unseen, total = 0;
  for (int p = 0; p < parts; ++p) most = fmaxf(most, part_at(p)[0]);
  const float shift = most == unseen ? 0 : most;
  for (int p = 0; p < parts; ++p) total += part_at(p)[1] * exp_of(part_at(p)[0] - shift);
  for (int d = static_cast<int>(threadIdx.x); d < a.head_dim; d += threads) {
    float sum = 0;
    for (int p = 0; p < parts; ++p) sum += part_at(p)[2 + d] * exp_of(part_at(p)[0] - shift);
    store_result(a, b, row, d, total > 0 ? sum / total : 0);
  }
  if (threadIdx.x == 0) store_logsumexp(a, b, row, most, total);
}

template <typename T, int width, int rows>
void start(const Calls& calls) {
  const Attention& first = calls.at[0];
  int64_t queries = 0, keys = 0;
  for (int i = 0; i < calls.count; ++i) {
    queries = std::max(queries, calls.at[i].queries);
    keys = std::max(keys, key_bound(calls.at[i].keys));
  }
  const int64_t chunks = parts_of(queries * (first.heads / first.kv_heads), rows);
  const int64_t whole = chunks * first.kv_heads * calls.rows();
  if (whole == 0) return;
  const int64_t wanted = std::clamp<int64_t>(enough_blocks / whole, 1, std::max<int64_t>(1, keys / least_part));
  const int64_t part = std::max<int64_t>(1, parts_of(parts_of(keys, wanted), columns)) * columns;
  Division division{.chunks = static_cast<int>(chunks),
                    .parts = static_cast<int>(std::max<int64_t>(1, parts_of(keys, part))),
                    .part = static_cast<int>(part),
                    .queries = queries,
                    .heads = first.heads,
                    .head_dim = first.head_dim,
                    .found = nullptr};
  const int64_t places = calls.rows() * first.heads * queries;
  const Scratch<float> found(division.parts > 1 ? places * division.parts * (2 + first.head_dim) : 0);
  division.found = found.data();
  launch("attention", decode_part<T, width, rows>, {whole * division.parts}, threads,
         sizeof(DecodeShared<T, width, rows>), calls, division);
  if (division.parts > 1) launch("attention", join_parts, {places}, threads, 0, calls, division);
}

template <typename T, int rows>
void start(const Calls& calls) {
  const int64_t head_dim = calls.at[0].head_dim;
  if (head_dim <= 64) return start<T, 64, rows>(calls);
  if (head_dim <= 128) return start<T, 128, rows>(calls);
  start<T, 256, rows>(calls);
}

}  // namespace

bool suits_decoding(const Attention& a) { return a.queries <= 4 && a.dropout == 0; }

void attention_decode(const Calls& calls) {
  bool alone = true;
  for (int i = 0; i < calls.count; ++i)
    alone = alone && calls.at[i].queries * calls.at[i].heads == calls.at[i].kv_heads;
  const DType kept = calls.at[0].kv_type;
  with_type(is_float(kept) ? kept : DType::f32,
            [&]<typename T>(T) { alone ? start<T, 1>(calls) : start<T, 8>(calls); });
}

}  // namespace qkv::kernels::cuda_set
