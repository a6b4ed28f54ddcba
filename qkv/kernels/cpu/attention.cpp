// Attention by tiles (Dao et al. 2022): the scores of 64 queries and 64 keys exist at a time, with a running maximum
// and sum for each query.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/attention.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/attention-inl.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/scratch.h"

#include <cmath>
#include <vector>

#ifndef QKV_KERNELS_CPU_ATTENTION_ONCE_
#define QKV_KERNELS_CPU_ATTENTION_ONCE_
namespace qkv::kernels::cpu_set {
struct ForwardScratch {};
struct DecodeScratch {};
}  // namespace qkv::kernels::cpu_set
#endif

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

// The running softmax of a tile of queries.
struct Running {
  float highest[tile];
  float sum[tile];
};

// Scores of one row become exp(score - highest); what has been summed so far is rescaled. Returns the rescaling.
HWY_INLINE float soften_row(float* scores, float& highest, float& sum) {
  V top = load(scores);
  for (int64_t j = lanes(); j < tile; j += lanes()) top = hn::Max(top, load(scores + j));
  const float now = std::max(highest, max_of(top));
  if (now == nothing) {  // nothing seen yet
    std::fill(scores, scores + tile, 0.0F);
    return 1;
  }
  const V shift = splat(now);
  V total = hn::Zero(F());
  for (int64_t j = 0; j < tile; j += lanes()) {
    const V p = exp(hn::Sub(load(scores + j), shift));
    store(p, scores + j);
    total = hn::Add(total, p);
  }
  const float rescale = highest == nothing ? 0 : std::exp(highest - now);
  sum = sum * rescale + sum_of(total);
  highest = now;
  return rescale;
}

// One tile of queries of one head against packed keys (by tiles, turned over) and values.
template <typename T>
void attend_tile(const Attention& a, HeadPlace place, int64_t q0, const float* keys, const float* values, int64_t width,
                 float* scratch) {
  const int64_t count = std::min(tile, a.queries - q0);
  float* q = scratch;
  float* scores = q + tile * width;
  float* out = scores + tile * tile;
  pack_rows(
      static_cast<const T*>(a.q.data) + place.b * a.q.batch_stride + q0 * a.q.time_stride + place.h * a.q.head_stride,
      a.q.time_stride, count, count, a.head_dim, width, a.scale, q);
  Running running;
  std::fill(running.highest, running.highest + tile, nothing);
  std::fill(running.sum, running.sum + tile, 0.0F);
  std::fill(out, out + count * width, 0.0F);
  for (int64_t k0 = 0; k0 < a.keys; k0 += tile) {
    if (!tile_visible(a, q0, count, k0)) continue;
    multiply<false>(q, width, keys + k0 * a.head_dim, tile, scores, tile, count, tile, a.head_dim, false);
    const bool plain = tile_plain(a, q0, k0);
    for (int64_t i = 0; i < count; ++i) {
      float* row = scores + i * tile;
      if (a.softcap > 0) cap_row(a.softcap, row, nullptr);
      if (!plain) mask_row(a, place, q0 + i, k0, row);
      const float rescale = soften_row(row, running.highest[i], running.sum[i]);
      if (a.dropout > 0) drop_row(a, place, q0 + i, k0, row);
      if (rescale != 1) {
        const V factor = splat(rescale);
        for (int64_t d = 0; d < width; d += lanes())
          store(hn::Mul(load(out + i * width + d), factor), out + i * width + d);
      }
    }
    multiply<false>(scores, tile, values + k0 * width, width, out, width, count, width, std::min(tile, a.keys - k0),
                    true);
  }
  for (int64_t i = 0; i < count; ++i) {
    const float sum = running.sum[i];
    const V factor = splat(sum > 0 ? 1 / sum : 0);
    T* to = static_cast<T*>(a.out.data) + place.b * a.out.batch_stride + (q0 + i) * a.out.time_stride +
            place.h * a.out.head_stride;
    map(out + i * width, to, a.head_dim, [=](V v) HWY_ATTR { return hn::Mul(v, factor); });
    if (a.logsumexp != nullptr)
      a.logsumexp[(place.b * a.heads + place.h) * a.queries + q0 + i] =
          sum > 0 ? running.highest[i] + std::log(sum) : 0;
  }
}

// The rows of a head's keys or values from position s on: how many follow each other in memory, up to `count`.
template <typename T>
struct Stretch {
  const T* rows;
  int64_t count;
};
template <typename T>
HWY_INLINE Stretch<T> stretch_of(const Attention& a, const ConstHeads& x, int64_t b, int64_t g, int64_t s,
                                 int64_t count) {
  const T* head = static_cast<const T*>(x.data) + g * x.head_stride;
  if (a.pages == nullptr) return {head + b * x.batch_stride + s * x.time_stride, count};
  const int64_t row = s % a.page_size;
  return {head + a.pages[s / a.page_size] * x.batch_stride + row * x.time_stride, std::min(count, a.page_size - row)};
}

// One tile of a head's keys or values as packed rows.
template <typename T>
void pack_tile(const Attention& a, const ConstHeads& x, int64_t b, int64_t g, int64_t k0, int64_t width, float* rows) {
  const int64_t count = std::min(tile, a.keys - k0);
  int64_t done = 0;
  while (done < count) {
    const Stretch<T> part = stretch_of<T>(a, x, b, g, k0 + done, count - done);
    const int64_t end = done + part.count;
    pack_rows(part.rows, x.time_stride, part.count, end == count ? tile - done : part.count, a.head_dim, width, 1,
              rows + done * width);
    done = end;
  }
}

template <typename T>
void attention_of(const Attention& a) {
  const int64_t width = padded(a.head_dim);
  const int64_t key_tiles = (a.keys + tile - 1) / tile;
  const int64_t group = a.heads / a.kv_heads;
  const int64_t query_tiles = (a.queries + tile - 1) / tile;
  // A task packs the keys of one head once for all its queries; with few heads, several tasks share the queries.
  const int64_t pairs = a.batch * a.kv_heads;
  const int64_t shares = std::clamp<int64_t>((2 * threads() + pairs - 1) / std::max<int64_t>(1, pairs), 1, query_tiles);
  const int64_t packed_keys = key_tiles * tile * a.head_dim;
  const int64_t packed_values = key_tiles * tile * width;
  const int64_t own = 2 * tile * width + tile * tile;
  const int64_t work = a.queries * a.keys * a.head_dim * group;
  parallel_for(pairs * shares, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work / shares)),
               [&](int64_t begin, int64_t end) HWY_ATTR {
                 float* keys = thread_scratch<ForwardScratch>(packed_keys + packed_values + own);
                 float* values = keys + packed_keys;
                 float* scratch = values + packed_values;
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t pair = task / shares;
                   const int64_t share = task % shares;
                   const int64_t b = pair / a.kv_heads;
                   const int64_t g = pair % a.kv_heads;
                   if (share == 0 || task == begin)
                     for (int64_t k0 = 0; k0 < a.keys; k0 += tile) {
                       // The values' place serves for the keys' rows until these are turned over.
                       float* rows = values + k0 * width;
                       pack_tile<T>(a, a.k, b, g, k0, width, rows);
                       transpose_tile(rows, width, a.head_dim, keys + k0 * a.head_dim);
                       pack_tile<T>(a, a.v, b, g, k0, width, rows);
                     }
                   for (int64_t member = 0; member < group; ++member)
                     for (int64_t q = query_tiles * share / shares; q < query_tiles * (share + 1) / shares; ++q)
                       attend_tile<T>(a, {b, g * group + member}, q * tile, keys, values, width, scratch);
                 }
               });
}

// A few queries over a long cache: nothing is packed, keys and values stream by once for each group of heads.
int64_t decode_scratch(const Attention& a) {
  const int64_t padded_keys = (a.keys + tile - 1) / tile * tile;
  return a.heads / a.kv_heads * a.queries * (padded(a.head_dim) + padded_keys) + padded(a.head_dim);
}

template <typename T>
void decode_head(const Attention& a, int64_t b, int64_t g, float* q) {
  const int64_t width = padded(a.head_dim);
  const int64_t group = a.heads / a.kv_heads;
  const int64_t padded_keys = (a.keys + tile - 1) / tile * tile;
  float* scores = q + group * a.queries * width;
  float* out = scores + group * a.queries * padded_keys;
  const int64_t rows = group * a.queries;  // row = member * queries + query
  for (int64_t member = 0; member < group; ++member)
    pack_rows(static_cast<const T*>(a.q.data) + b * a.q.batch_stride + (g * group + member) * a.q.head_stride,
              a.q.time_stride, a.queries, a.queries, a.head_dim, width, a.scale, q + member * a.queries * width);
  for (int64_t s = 0; s < a.keys;) {
    const Stretch<T> keys = stretch_of<T>(a, a.k, b, g, s, a.keys - s);
    for (const int64_t end = s + keys.count, first = s; s < end; ++s) {
      const T* key = keys.rows + (s - first) * a.k.time_stride;
      for (int64_t r = 0; r < rows; ++r) {
        V sum = hn::Zero(F());
        int64_t d = 0;
        for (; d + lanes() <= a.head_dim; d += lanes()) sum = hn::MulAdd(load(key + d), load(q + r * width + d), sum);
        if (d < a.head_dim) sum = hn::MulAdd(load_part(key + d, a.head_dim - d), load(q + r * width + d), sum);
        scores[r * padded_keys + s] = sum_of(sum);
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const HeadPlace place{b, g * group + r / a.queries};
    const int64_t query = r % a.queries;
    float* row = scores + r * padded_keys;
    for (int64_t k0 = 0; k0 < a.keys; k0 += tile) {
      if (a.softcap > 0) cap_row(a.softcap, row + k0, nullptr);
      mask_row(a, place, query, k0, row + k0);
    }
    V top = splat(nothing);
    for (int64_t j = 0; j < padded_keys; j += lanes()) top = hn::Max(top, load(row + j));
    const float highest = max_of(top);
    V total = hn::Zero(F());
    for (int64_t j = 0; j < padded_keys && highest != nothing; j += lanes()) {
      const V p = exp(hn::Sub(load(row + j), splat(highest)));
      store(p, row + j);
      total = hn::Add(total, p);
    }
    const float sum = sum_of(total);
    std::fill(out, out + width, 0.0F);
    if (highest != nothing) {
      if (a.dropout > 0)
        for (int64_t k0 = 0; k0 < a.keys; k0 += tile) drop_row(a, place, query, k0, row + k0);
      for (int64_t s = 0; s < a.keys;) {
        const Stretch<T> values = stretch_of<T>(a, a.v, b, g, s, a.keys - s);
        for (const int64_t end = s + values.count, first = s; s < end; ++s) {
          const V p = splat(row[s]);
          map(values.rows + (s - first) * a.v.time_stride, out, out, a.head_dim,
              [=](V v, V o) HWY_ATTR { return hn::MulAdd(p, v, o); });
        }
      }
    }
    const V factor = splat(sum > 0 ? 1 / sum : 0);
    T* to =
        static_cast<T*>(a.out.data) + b * a.out.batch_stride + query * a.out.time_stride + place.h * a.out.head_stride;
    map(out, to, a.head_dim, [=](V v) HWY_ATTR { return hn::Mul(v, factor); });
    if (a.logsumexp != nullptr)
      a.logsumexp[(b * a.heads + place.h) * a.queries + query] = sum > 0 ? highest + std::log(sum) : 0;
  }
}

int64_t decode_grain(const Attention& a) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, a.keys * a.head_dim * (a.heads / a.kv_heads)));
}

template <typename T>
void decode_of(const Attention& a) {
  parallel_for(a.batch * a.kv_heads, decode_grain(a), [&](int64_t begin, int64_t end) HWY_ATTR {
    float* scratch = thread_scratch<DecodeScratch>(decode_scratch(a));
    for (int64_t pair = begin; pair < end; ++pair) decode_head<T>(a, pair / a.kv_heads, pair % a.kv_heads, scratch);
  });
}

constexpr int64_t few = 4;

void attention_on_target(const Attention& a) {
  with_type(a.type, [&](auto t) {
    if (a.queries <= few) {
      decode_of<decltype(t)>(a);
    } else {
      attention_of<decltype(t)>(a);
    }
  });
}

// The short ones together, so that all threads have work; the long ones keep the threads busy each alone.
void attention_each_on_target(std::span<const Attention> all) {
  std::vector<const Attention*> short_ones;
  int64_t keys = 0;
  for (const Attention& a : all)
    if (a.queries > few) {
      attention_on_target(a);
    } else if (a.queries > 0) {
      short_ones.push_back(&a);
      keys = std::max(keys, a.keys);
    }
  if (short_ones.empty()) return;
  const int64_t heads = short_ones[0]->kv_heads;
  Attention longest = *short_ones[0];
  longest.keys = keys;
  longest.queries = few;
  with_type(longest.type, [&](auto t) {
    parallel_for(std::ssize(short_ones) * heads, decode_grain(longest), [&](int64_t begin, int64_t end) HWY_ATTR {
      float* scratch = thread_scratch<DecodeScratch>(decode_scratch(longest));
      for (int64_t task = begin; task < end; ++task)
        decode_head<decltype(t)>(*short_ones[static_cast<size_t>(task / heads)], 0, task % heads, scratch);
    });
  });
}

template <typename T>
void rotary_of(const Rotary& a) {
  const int64_t half = a.rotary_dim / 2;
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, a.heads * a.head_dim));
  parallel_for(a.batch * a.time, grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / a.time;
      const int64_t t = row % a.time;
      const float* cosine = a.cosine + a.positions[row] * half;
      const float* sine = a.sine + a.positions[row] * half;
      for (int64_t h = 0; h < a.heads; ++h) {
        const T* x = static_cast<const T*>(a.x.data) + b * a.x.batch_stride + t * a.x.time_stride + h * a.x.head_stride;
        T* y = static_cast<T*>(a.out.data) + b * a.out.batch_stride + t * a.out.time_stride + h * a.out.head_stride;
        for (int64_t i = 0; i < half; i += a.interleaved ? 1 : lanes()) {
          if (!a.interleaved && i + lanes() <= half) {
            const V first = load(x + i);
            const V second = load(x + i + half);
            const V c = load(cosine + i);
            const V s = a.inverse ? hn::Neg(load(sine + i)) : load(sine + i);
            store(hn::NegMulAdd(second, s, hn::Mul(first, c)), y + i);
            store(hn::MulAdd(first, s, hn::Mul(second, c)), y + i + half);
            continue;
          }
          const int64_t stop = a.interleaved ? i + 1 : half;
          for (int64_t j = i; j < stop; ++j) {
            const int64_t one = a.interleaved ? 2 * j : j;
            const int64_t two = a.interleaved ? 2 * j + 1 : j + half;
            const float u = static_cast<float>(x[one]);
            const float v = static_cast<float>(x[two]);
            const float s = a.inverse ? -sine[j] : sine[j];
            y[one] = static_cast<T>(u * cosine[j] - v * s);
            y[two] = static_cast<T>(u * s + v * cosine[j]);
          }
        }
        for (int64_t d = a.rotary_dim; d < a.head_dim; ++d) y[d] = x[d];
      }
    }
  });
}

void rotary_on_target(const Rotary& a) {
  with_type(a.type, [&](auto t) { rotary_of<decltype(t)>(a); });
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qkv::kernels::cpu_set {
HWY_EXPORT(attention_on_target);
HWY_EXPORT(attention_each_on_target);
HWY_EXPORT(rotary_on_target);
void attention(const Attention& a) { HWY_DYNAMIC_DISPATCH(attention_on_target)(a); }
void attention_each(std::span<const Attention> all) { HWY_DYNAMIC_DISPATCH(attention_each_on_target)(all); }
void rotary(const Rotary& a) { HWY_DYNAMIC_DISPATCH(rotary_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
