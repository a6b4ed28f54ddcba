// The gradients of attention by tiles: probabilities are computed again from the scores and each query's log-sum-exp.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/attention_backward.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/attention-inl.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/scratch.h"

#ifndef QKV_KERNELS_CPU_ATTENTION_BACKWARD_ONCE_
#define QKV_KERNELS_CPU_ATTENTION_BACKWARD_ONCE_
namespace qkv::kernels::cpu_set {
struct BackwardScratch {};
}  // namespace qkv::kernels::cpu_set
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// The packed keys and values of one head, and the sums of their gradients.
struct KeySide {
  float* k;   // [keys, width]
  float* kt;  // by tiles, [head_dim, tile]
  float* vt;  // likewise
  float* dk;  // [keys, width]
  float* dv;
};
// A tile of queries.
struct QuerySide {
  float* q;     // [tile, width], scaled
  float* dout;  // [tile, width]
  float* dq;    // [tile, width]
  float* p;     // [tile, tile]
  float* ds;    // [tile, tile]
};

template <typename T>
const T* head_rows(const ConstHeads& x, int64_t b, int64_t t, int64_t h) {
  return static_cast<const T*>(x.data) + b * x.batch_stride + t * x.time_stride + h * x.head_stride;
}
template <typename T>
T* head_rows(const Heads& x, int64_t b, int64_t t, int64_t h) {
  return static_cast<T*>(x.data) + b * x.batch_stride + t * x.time_stride + h * x.head_stride;
}

// p becomes the probabilities after dropout, ds (which holds dout . v) the gradient of the scores.
HWY_INLINE void score_gradient(const Attention& a, HeadPlace place, int64_t query, int64_t k0, float lse, float delta,
                               float* p, float* ds) {
  const V shift = splat(lse);
  const V offset = splat(delta);
  if (a.dropout > 0) drop_row(a, place, query, k0, ds);
  for (int64_t j = 0; j < tile; j += lanes()) {
    const V weight = exp(hn::Sub(load(p + j), shift));
    store(hn::Mul(weight, hn::Sub(load(ds + j), offset)), ds + j);
    store(weight, p + j);
  }
  if (a.dropout > 0) drop_row(a, place, query, k0, p);
}

// Adds a row of the scores' gradient to the bias's.
HWY_INLINE void add_bias_gradient(const AttentionBackward& g, HeadPlace place, int64_t query, int64_t k0, int64_t keys,
                                  const float* ds) {
  const Attention& a = g.forward;
  float* to = g.dbias + place.b * a.bias_batch_stride + place.h * a.bias_head_stride + query * a.bias_query_stride +
              k0 * a.bias_key_stride;
  if (a.bias_key_stride == 1) {
    map(ds, to, to, keys, [](V d, V before) HWY_ATTR { return hn::Add(d, before); });
  } else {
    for (int64_t j = 0; j < keys; ++j) to[j * a.bias_key_stride] += ds[j];
  }
}

template <typename T>
void backward_tile(const AttentionBackward& g, HeadPlace place, int64_t q0, const KeySide& key, const QuerySide& query,
                   int64_t width) {
  const Attention& a = g.forward;
  const int64_t count = std::min(tile, a.queries - q0);
  pack_rows(head_rows<T>(a.q, place.b, q0, place.h), a.q.time_stride, count, count, a.head_dim, width, a.scale,
            query.q);
  pack_rows(head_rows<T>(g.dout, place.b, q0, place.h), g.dout.time_stride, count, count, a.head_dim, width, 1,
            query.dout);
  float delta[tile];
  for (int64_t i = 0; i < count; ++i) {
    const T* out = head_rows<T>(a.out, place.b, q0 + i, place.h);
    V sum = hn::Zero(F());
    int64_t d = 0;
    for (; d + lanes() <= a.head_dim; d += lanes())
      sum = hn::MulAdd(load(out + d), load(query.dout + i * width + d), sum);
    if (d < a.head_dim) sum = hn::MulAdd(load_part(out + d, a.head_dim - d), load(query.dout + i * width + d), sum);
    delta[i] = sum_of(sum);
  }
  std::fill(query.dq, query.dq + count * width, 0.0F);
  const float* lse = a.logsumexp + (place.b * a.heads + place.h) * a.queries + q0;
  for (int64_t k0 = 0; k0 < a.keys; k0 += tile) {
    if (!tile_visible(a, q0, count, k0)) continue;
    const int64_t keys = std::min(tile, a.keys - k0);
    multiply<false>(query.q, width, key.kt + k0 * a.head_dim, tile, query.p, tile, count, tile, a.head_dim, false);
    multiply<false>(query.dout, width, key.vt + k0 * a.head_dim, tile, query.ds, tile, count, tile, a.head_dim, false);
    const bool plain = tile_plain(a, q0, k0);
    for (int64_t i = 0; i < count; ++i) {
      float* p = query.p + i * tile;
      float* ds = query.ds + i * tile;
      float slopes[tile];
      if (a.softcap > 0) cap_row(a.softcap, p, slopes);
      if (!plain) mask_row(a, place, q0 + i, k0, p);
      score_gradient(a, place, q0 + i, k0, lse[i], delta[i], p, ds);
      if (g.dbias != nullptr) add_bias_gradient(g, place, q0 + i, k0, keys, ds);
      if (a.softcap > 0) map(ds, slopes, ds, tile, [](V d, V slope) HWY_ATTR { return hn::Mul(d, slope); });
    }
    multiply<true>(query.p, tile, query.dout, width, key.dv + k0 * width, width, keys, width, count, true);
    multiply<true>(query.ds, tile, query.q, width, key.dk + k0 * width, width, keys, width, count, true);
    multiply<false>(query.ds, tile, key.k + k0 * width, width, query.dq, width, count, width, keys, true);
  }
  const V scale = splat(a.scale);
  for (int64_t i = 0; i < count; ++i)
    map(query.dq + i * width, head_rows<T>(g.dq, place.b, q0 + i, place.h), a.head_dim,
        [=](V v) HWY_ATTR { return hn::Mul(v, scale); });
}

template <typename T>
void backward_of(const AttentionBackward& g) {
  const Attention& a = g.forward;
  const int64_t width = padded(a.head_dim);
  const int64_t keys = (a.keys + tile - 1) / tile * tile;
  const int64_t group = a.heads / a.kv_heads;
  const int64_t size = keys * (3 * width + 2 * a.head_dim) + 3 * tile * width + 2 * tile * tile;
  // A bias that the rows of the batch share gets its gradient from one thread a head, in the rows' order.
  const int64_t together = g.dbias != nullptr && a.bias_batch_stride == 0 ? std::max<int64_t>(1, a.batch) : 1;
  parallel_for(a.batch * a.kv_heads / together, 1, [&](int64_t first, int64_t last) HWY_ATTR {
    float* at = thread_scratch<BackwardScratch>(size);
    const auto take = [&](int64_t count) {
      float* from = at;
      at += count;
      return from;
    };
    const KeySide key{take(keys * width), take(keys * a.head_dim), take(keys * a.head_dim), take(keys * width),
                      take(keys * width)};
    const QuerySide query{take(tile * width), take(tile * width), take(tile * width), take(tile * tile),
                          take(tile * tile)};
    for (int64_t pair = first * together; pair < last * together; ++pair) {
      const int64_t b = together > 1 ? pair % together : pair / a.kv_heads;
      const int64_t h = together > 1 ? pair / together : pair % a.kv_heads;
      for (int64_t k0 = 0; k0 < keys; k0 += tile) {
        const int64_t count = std::min(tile, a.keys - k0);
        float* rows = key.k + k0 * width;
        pack_rows(head_rows<T>(a.v, b, k0, h), a.v.time_stride, count, tile, a.head_dim, width, 1, rows);
        transpose_tile(rows, width, a.head_dim, key.vt + k0 * a.head_dim);
        pack_rows(head_rows<T>(a.k, b, k0, h), a.k.time_stride, count, tile, a.head_dim, width, 1, rows);
        transpose_tile(rows, width, a.head_dim, key.kt + k0 * a.head_dim);
      }
      std::fill(key.dk, key.dk + keys * width, 0.0F);
      std::fill(key.dv, key.dv + keys * width, 0.0F);
      for (int64_t member = 0; member < group; ++member)
        for (int64_t q0 = 0; q0 < a.queries; q0 += tile)
          backward_tile<T>(g, {b, h * group + member}, q0, key, query, width);
      for (int64_t s = 0; s < a.keys; ++s) {
        const auto same = [](V v) HWY_ATTR { return v; };
        map(key.dk + s * width, head_rows<T>(g.dk, b, s, h), a.head_dim, same);
        map(key.dv + s * width, head_rows<T>(g.dv, b, s, h), a.head_dim, same);
      }
    }
  });
}

void attention_backward_on_target(const AttentionBackward& g) {
  with_type(g.forward.type, [&](auto t) { backward_of<decltype(t)>(g); });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
QKV_EXPORT(attention_backward_on_target);
void attention_backward(const AttentionBackward& g) {
  // Threads take key heads; a bias that these share is rare and small, and left to the reference loops.
  if (g.dbias != nullptr && g.forward.kv_heads > 1 && g.forward.bias_head_stride == 0)
    return reference().attention_backward(g);
  QKV_DISPATCH(attention_backward_on_target)(g);
}
}  // namespace qkv::kernels::cpu_set
#endif
