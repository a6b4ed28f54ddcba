// Attention by tiles (Dao et al. 2022): the scores of 64 queries and 64 keys exist at a time, with a running maximum
// and sum for each query.
#include "qkv/kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/attention.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "qkv/kernels/cpu/attention-inl.h"
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/instruction_sets.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/read_ahead.h"
#include "qkv/kernels/cpu/scratch.h"
#include "qkv/kernels/on_host.h"

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

// Rows of a head of the queries, scaled, and of the results.
void pack_queries(const Attention& a, HeadPlace place, int64_t q0, int64_t count, int64_t width, float* rows) {
  const int64_t offset = place.b * a.q.batch_stride + q0 * a.q.time_stride + place.h * a.q.head_stride;
  with_type(a.type, [&](auto t) HWY_ATTR {
    pack_rows(static_cast<const decltype(t)*>(a.q.data) + offset, a.q.time_stride, count, count, a.head_dim, width,
              a.scale, rows);
  });
}
void write_result(const Attention& a, HeadPlace place, int64_t query, const float* row, float factor) {
  const int64_t offset = place.b * a.out.batch_stride + query * a.out.time_stride + place.h * a.out.head_stride;
  with_type(a.type, [&](auto t) HWY_ATTR {
    map(row, static_cast<decltype(t)*>(a.out.data) + offset, a.head_dim,
        [v = splat(factor)](V x) HWY_ATTR { return hn::Mul(x, v); });
  });
}

// Calls body(T()) with T what keys and values are made of.
template <typename Body>
void with_kv_type(DType type, Body&& body) {
  if (type == DType::q8_0) return body(BlockQ8_0());
  with_type(type, body);
}

// One tile of queries of one head against packed keys (by tiles, turned over) and values.
void attend_tile(const Attention& a, HeadPlace place, int64_t q0, const float* keys, const float* values, int64_t width,
                 float* scratch) {
  const int64_t count = std::min(tile, a.queries - q0);
  float* q = scratch;
  float* scores = q + tile * width;
  float* out = scores + tile * tile;
  pack_queries(a, place, q0, count, width, q);
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
    write_result(a, place, q0 + i, out + i * width, sum > 0 ? 1 / sum : 0);
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
  const auto at = [&](int64_t batch, int64_t time) {
    return static_cast<const T*>(x.data) +
           (batch * x.batch_stride + time * x.time_stride + g * x.head_stride) / numbers_of<T>;
  };
  if (a.pages == nullptr) return {at(b, s), count};
  const int64_t row = s % a.page_size;
  return {at(a.pages[s / a.page_size], row), std::min(count, a.page_size - row)};
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
                       attend_tile(a, {b, g * group + member}, q * tile, keys, values, width, scratch);
                 }
               });
}

// A few queries over a long cache: keys and values stream by once for each group of heads, a tile at a time.
int64_t decode_scratch(const Attention& a) {
  const int64_t padded_keys = (a.keys + tile - 1) / tile * tile;
  return a.heads / a.kv_heads * a.queries * (2 * padded(a.head_dim) + padded_keys) + tile * padded(a.head_dim);
}

// Asks for the rows of a head's keys or values from position s on, a tile at most. They lie apart, between those of
// other heads, where the processor does not look for them by itself.
template <typename T>
HWY_INLINE void ask_for_tile(const Attention& a, const ConstHeads& x, int64_t b, int64_t g, int64_t s) {
  if (s >= a.keys) return;
  const Stretch<T> part = stretch_of<T>(a, x, b, g, s, std::min(tile, a.keys - s));
  const int64_t bytes = a.head_dim / numbers_of<T> * static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < part.count; ++i) {
    const char* row = reinterpret_cast<const char*>(part.rows + i * (x.time_stride / numbers_of<T>));
    for (int64_t line = 0; line < bytes; line += 64) ask_for(row + line);
  }
}

// Calls body(s, count, rows, stride) for all positions of a head's keys or values, at most a tile at a time, as f32
// rows of whole vectors: where they lie if they are that, else in `buffer`.
template <typename T, typename Body>
HWY_INLINE void for_each_tile(const Attention& a, const ConstHeads& x, int64_t b, int64_t g, float* buffer,
                              Body&& body) {
  const int64_t width = padded(a.head_dim);
  for (int64_t s = 0; s < a.keys;) {
    const Stretch<T> part = stretch_of<T>(a, x, b, g, s, std::min(tile, a.keys - s));
    ask_for_tile<T>(a, x, b, g, s + part.count);
    if constexpr (std::is_same_v<T, float>) {
      if (width == a.head_dim) {
        body(s, part.count, part.rows, x.time_stride);
        s += part.count;
        continue;
      }
    }
    pack_rows(part.rows, x.time_stride, part.count, part.count, a.head_dim, width, 1, buffer);
    body(s, part.count, buffer, width);
    s += part.count;
  }
}

// Scores of one row of queries become exp(score - highest), 0 for what it does not see; returns their sum.
HWY_INLINE float soften(const Attention& a, HeadPlace place, int64_t query, int64_t padded_keys, float* row,
                        float& highest) {
  for (int64_t k0 = 0; k0 < a.keys; k0 += tile) {
    if (a.softcap > 0) cap_row(a.softcap, row + k0, nullptr);
    mask_row(a, place, query, k0, row + k0);
  }
  V top = splat(nothing);
  for (int64_t j = 0; j < padded_keys; j += lanes()) top = hn::Max(top, load(row + j));
  highest = max_of(top);
  if (highest == nothing) {
    std::fill(row, row + padded_keys, 0.0F);
    return 0;
  }
  V total = hn::Zero(F());
  for (int64_t j = 0; j < padded_keys; j += lanes()) {
    const V p = exp(hn::Sub(load(row + j), splat(highest)));
    store(p, row + j);
    total = hn::Add(total, p);
  }
  if (a.dropout > 0)
    for (int64_t k0 = 0; k0 < a.keys; k0 += tile) drop_row(a, place, query, k0, row + k0);
  return sum_of(total);
}

template <typename T>
void decode_head(const Attention& a, int64_t b, int64_t g, float* q) {
  const int64_t width = padded(a.head_dim);
  const int64_t group = a.heads / a.kv_heads;
  const int64_t padded_keys = (a.keys + tile - 1) / tile * tile;
  const int64_t rows = group * a.queries;  // row = member * queries + query
  float* out = q + rows * width;
  float* scores = out + rows * width;
  float* buffer = scores + rows * padded_keys;
  ask_for_tile<T>(a, a.k, b, g, 0);
  ask_for_tile<T>(a, a.v, b, g, 0);
  for (int64_t member = 0; member < group; ++member)
    pack_queries(a, {b, g * group + member}, 0, a.queries, width, q + member * a.queries * width);
  for_each_tile<T>(a, a.k, b, g, buffer, [&](int64_t s, int64_t count, const float* keys, int64_t stride) HWY_ATTR {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t r = 0; r < rows; ++r) {
        V sum = hn::Zero(F());
        for (int64_t d = 0; d < width; d += lanes())
          sum = hn::MulAdd(load(keys + i * stride + d), load(q + r * width + d), sum);
        scores[r * padded_keys + s + i] = sum_of(sum);
      }
  });
  for (int64_t r = 0; r < rows; ++r) {
    const HeadPlace place{b, g * group + r / a.queries};
    const int64_t query = r % a.queries;
    float highest = 0;
    const float sum = soften(a, place, query, padded_keys, scores + r * padded_keys, highest);
    if (a.logsumexp != nullptr)
      a.logsumexp[(b * a.heads + place.h) * a.queries + query] = sum > 0 ? highest + std::log(sum) : 0;
    q[r * width] = sum > 0 ? 1 / sum : 0;  // the queries have been read
  }
  std::fill(out, out + rows * width, 0.0F);
  for_each_tile<T>(a, a.v, b, g, buffer, [&](int64_t s, int64_t count, const float* values, int64_t stride) HWY_ATTR {
    multiply<false>(scores + s, padded_keys, values, stride, out, width, rows, width, count, true);
  });
  for (int64_t r = 0; r < rows; ++r)
    write_result(a, {b, g * group + r / a.queries}, r % a.queries, out + r * width, q[r * width]);
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
  with_kv_type(a.kv_type, [&](auto t) {
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
  with_kv_type(longest.kv_type, [&](auto t) {
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
QKV_EXPORT(attention_on_target);
QKV_EXPORT(attention_each_on_target);
QKV_EXPORT(rotary_on_target);
void attention(const Attention& a) {
  if (has_own_keys(a)) return attention_each(rows_of(a));
  QKV_DISPATCH(attention_on_target)(a);
}
void attention_each(std::span<const Attention> all) { QKV_DISPATCH(attention_each_on_target)(all); }
void rotary(const Rotary& a) { QKV_DISPATCH(rotary_on_target)(a); }
}  // namespace qkv::kernels::cpu_set
#endif
