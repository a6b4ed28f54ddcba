#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/attention/cudnn.h"
#include "qkv/kernels/cuda/attention/gradients.h"
#include "qkv/kernels/cuda/attention/rows.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int threads = 256, warps = threads / warp_threads;
constexpr int64_t most_dscores = int64_t{1} << 24;  // numbers at a time, where the bias has a gradient

// delta[b,h,t] = dout . out. A warp has one.
__global__ void __launch_bounds__(threads) sum_products(const __grid_constant__ AttentionBackward g, float* delta) {
  const Attention& a = g.forward;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * warps + threadIdx.x / warp_threads;
  if (index >= a.batch * a.heads * a.queries) return;
  const int t = static_cast<int>(index % a.queries);
  const int h = static_cast<int>(index / a.queries % a.heads), b = static_cast<int>(index / a.queries / a.heads);
  const HeadRows out = query_rows(a, a.out, b, h), dout = query_rows(a, g.dout, b, h);
  const int64_t left = out.offset(t), right = dout.offset(t);
  float sum = 0;
  for (int d = static_cast<int>(threadIdx.x) % warp_threads; d < a.head_dim; d += warp_threads)
    sum = fmaf(out.number(left + d), dout.number(right + d), sum);
  sum = reduce_warp(sum, Add());
  if (threadIdx.x % warp_threads == 0) delta[index] = sum;
}

// How many numbers the bias has along each dimension: 1 where it does not change.
struct BiasShape {
  int64_t batch, heads, queries, keys;
  bool diagonal;  // it depends on s - t alone, and number i along keys stands for s - t = i - (queries - 1)

  BiasShape(const Attention& a, int64_t rows)
      : batch(a.bias_batch_stride == 0 ? 1 : rows),
        heads(a.bias_head_stride == 0 ? 1 : a.heads),
        queries(a.bias_query_stride == 0 ? 1 : a.queries),
        keys(a.bias_key_stride == 0 ? 1 : a.keys),
        diagonal(a.bias_query_stride != 0 && a.bias_query_stride == -a.bias_key_stride) {
    if (!diagonal) return;
    queries = 1;
    keys = a.queries + a.keys - 1;
  }
  int64_t count() const { return batch * heads * queries * keys; }
};

// Adds to each number of dbias the gradients of all scores that it was added to, in order.
__global__ void __launch_bounds__(threads) collect_bias(const __grid_constant__ Gradients g, BiasShape shape) {
  const Attention& a = g.call.forward;
  int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  const int64_t s = i % shape.keys;
  i /= shape.keys;
  const int64_t t = i % shape.queries;
  i /= shape.queries;
  const int64_t h = i % shape.heads, row = i / shape.heads;
  if (row >= shape.batch) return;
  const auto end = [](int64_t begin, int64_t own, int64_t all) { return own == 1 ? all : begin + 1; };
  float sum = 0;
  for (int64_t b = row; b < end(row, shape.batch, g.rows); ++b)
    for (int64_t head = h; head < end(h, shape.heads, a.heads); ++head) {
      const float* scores = g.dscores + (b * a.heads + head) * a.queries * a.keys;
      for (int64_t query = t; query < end(t, shape.queries, a.queries); ++query) {
        if (shape.diagonal) {
          const int64_t key = s + query - (a.queries - 1);
          if (key >= 0 && key < a.keys) sum += scores[query * a.keys + key];
        } else {
          for (int64_t key = s; key < end(s, shape.keys, a.keys); ++key) sum += scores[query * a.keys + key];
        }
      }
    }
  const int64_t key_place = shape.diagonal ? s - (a.queries - 1) : s;
  g.call.dbias[(g.first_row + row) * a.bias_batch_stride + h * a.bias_head_stride + t * a.bias_query_stride +
               key_place * a.bias_key_stride] += sum;
}

}  // namespace

void attention_backward(const AttentionBackward& call) {
  if (attention_backward_by_cudnn(call)) return;
  const Attention& a = call.forward;
  check_heads(a);
  const int64_t count = a.batch * a.heads * a.queries;
  const Scratch<float> delta(count);
  launch("attention_backward", sum_products, {parts_of(count, warps)}, threads, 0, call, delta.data());
  Gradients g{.call = call, .first_row = 0, .rows = a.batch, .delta = delta.data(), .dscores = nullptr};
  const auto dq = a.type == DType::bf16 ? dq_bf16 : a.type == DType::f16 ? dq_f16 : dq_f32;
  const auto dk_dv = a.type == DType::bf16 ? dk_dv_bf16 : a.type == DType::f16 ? dk_dv_f16 : dk_dv_f32;
  dk_dv(g);
  if (call.dbias == nullptr) return dq(g);

  const int64_t of_row = a.heads * a.queries * a.keys;
  const int64_t rows =
      std::clamp<int64_t>(most_dscores / std::max<int64_t>(1, of_row), 1, std::max<int64_t>(1, a.batch));
  const Scratch<float> dscores(rows * of_row);
  g.dscores = dscores.data();
  for (; g.first_row < a.batch; g.first_row += rows) {
    g.rows = std::min(rows, a.batch - g.first_row);
    // Tiles that no query sees are not visited.
    cuda::fill_bytes(dscores.data(), 0, static_cast<size_t>(g.rows * of_row) * sizeof(float));
    dq(g);
    const BiasShape shape(a, g.rows);
    launch("attention_backward", collect_bias, {parts_of(shape.count(), threads)}, threads, 0, g, shape);
  }
}

}  // namespace qkv::kernels::cuda_set
