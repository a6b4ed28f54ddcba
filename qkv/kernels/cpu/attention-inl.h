// What the forward and backward attention kernels share: tiles of 64 queries by 64 keys in f32 scratch, padded to whole
// vectors, and the small matrix product that all their steps are made of. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_ATTENTION_INL_H_
#undef QKV_KERNELS_CPU_ATTENTION_INL_H_
#else
#define QKV_KERNELS_CPU_ATTENTION_INL_H_
#endif

#include "qkv/kernels/blocks.h"
#include "qkv/kernels/cpu/vector-inl.h"
#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <limits>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {

constexpr int64_t tile = 64;
constexpr float nothing = -std::numeric_limits<float>::infinity();

// Vectors of a row that one register block covers: 4 x 4 accumulators where there are 32 registers, else 4 x 2.
constexpr int block_vectors = HWY_MAX_BYTES >= 64 && HWY_TARGET <= HWY_AVX3 ? 4 : 2;

HWY_INLINE int64_t padded(int64_t n) { return (n + lanes() - 1) / lanes() * lanes(); }

// C[rows, vectors N] (+)= A B for one register block. A(r, p) is a[r lda + p], or, transposed, a[p lda + r].
template <int rows, int vectors, bool transposed>
HWY_INLINE void multiply_block(const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                               int64_t k, bool add) {
  const int64_t N = lanes();
  V sums[rows * vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) sums[r * vectors + v] = add ? load(c + r * ldc + v * N) : hn::Zero(F());
  for (int64_t p = 0; p < k; ++p) {
    V row[vectors];
    for (int v = 0; v < vectors; ++v) row[v] = load(b + p * ldb + v * N);
    for (int r = 0; r < rows; ++r) {
      const V factor = splat(transposed ? a[p * lda + r] : a[r * lda + p]);
      for (int v = 0; v < vectors; ++v) sums[r * vectors + v] = hn::MulAdd(factor, row[v], sums[r * vectors + v]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(sums[r * vectors + v], c + r * ldc + v * N);
}

template <int vectors, bool transposed>
HWY_INLINE void multiply_columns(const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                                 int64_t m, int64_t k, bool add) {
  int64_t r = 0;
  for (; r + 4 <= m; r += 4)
    multiply_block<4, vectors, transposed>(a + (transposed ? r : r * lda), lda, b, ldb, c + r * ldc, ldc, k, add);
  for (; r < m; ++r)
    multiply_block<1, vectors, transposed>(a + (transposed ? r : r * lda), lda, b, ldb, c + r * ldc, ldc, k, add);
}

// C[m, n] (+)= A[m, k] B[k, n]; n is a whole number of vectors.
template <bool transposed>
void multiply(const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t m, int64_t n,
              int64_t k, bool add) {
  const int64_t N = lanes();
  const int64_t vectors = n / N;
  int64_t v = 0;
  for (; v + block_vectors <= vectors; v += block_vectors)
    multiply_columns<block_vectors, transposed>(a, lda, b + v * N, ldb, c + v * N, ldc, m, k, add);
  for (; v < vectors; ++v) multiply_columns<1, transposed>(a, lda, b + v * N, ldb, c + v * N, ldc, m, k, add);
}

// How many numbers one T holds.
template <typename T>
constexpr int64_t numbers_of = std::is_same_v<T, BlockQ8_0> ? 32 : 1;

// y = x factor: numbers of any type that a cache has, as f32.
template <typename T>
HWY_INLINE void widen(const T* x, float* y, int64_t count, V factor) {
  map(x, y, count, [=](V v) HWY_ATTR { return hn::Mul(v, factor); });
}
HWY_INLINE void widen(const BlockQ8_0* x, float* y, int64_t count, V factor) {
  const hn::Rebind<int8_t, F> codes;
  const hn::Rebind<hwy::float16_t, F> halves;
  for (int64_t b = 0; b < count / 32; ++b) {
    const auto d = hn::BitCast(halves, hn::Set(U16(), x[b].d.bits));
    const V scale = hn::Mul(hn::PromoteTo(F(), d), factor);
    for (int64_t i = 0; i < 32; i += lanes())
      store(hn::Mul(scale, hn::ConvertTo(F(), hn::PromoteTo(I(), hn::LoadU(codes, x[b].codes + i)))), y + b * 32 + i);
  }
}

// Rows of one head as f32, times `scale`, padded with zeros to `width`; rows beyond `count` are zero up to `rows`.
template <typename T>
void pack_rows(const T* x, int64_t stride, int64_t count, int64_t rows, int64_t head_dim, int64_t width, float scale,
               float* out) {
  const V factor = splat(scale);
  for (int64_t i = 0; i < rows; ++i) {
    float* to = out + i * width;
    if (i < count) {
      widen(x + i * stride / numbers_of<T>, to, head_dim, factor);
      std::fill(to + head_dim, to + width, 0.0F);
    } else {
      std::fill(to, to + width, 0.0F);
    }
  }
}

// A tile of packed rows [tile, width] turned over: [head_dim, tile].
HWY_INLINE void transpose_tile(const float* rows, int64_t width, int64_t head_dim, float* out) {
  for (int64_t d = 0; d < head_dim; ++d)
    for (int64_t i = 0; i < tile; ++i) out[d * tile + i] = rows[i * width + d];
}

// One (row of the batch, head): what a tile of scores needs besides q and k.
struct HeadPlace {
  int64_t b, h;
};

HWY_INLINE int64_t position_of(const Attention& a, int64_t query) { return query + a.keys - a.queries; }

// Whether any query of [q0, q0 + count) can see a key of the tile at k0.
HWY_INLINE bool tile_visible(const Attention& a, int64_t q0, int64_t count, int64_t k0) {
  const int64_t k1 = std::min(k0 + tile, a.keys) - 1;
  if (a.causal && k0 > position_of(a, q0 + count - 1)) return false;
  if (k0 < a.always) return true;
  if (a.window > 0 && k1 <= position_of(a, q0) - a.window) return false;
  return !(a.window > 0 && !a.causal && k0 >= position_of(a, q0 + count - 1) + a.window);
}

// A row of scores x becomes softcap tanh(x / softcap). `slopes`, if given, receives the derivative.
HWY_INLINE void cap_row(float softcap, float* row, float* slopes) {
  for (int64_t j = 0; j < tile; j += lanes()) {
    const V capped = tanh(hn::Mul(load(row + j), splat(1 / softcap)));
    store(hn::Mul(capped, splat(softcap)), row + j);
    if (slopes != nullptr) store(hn::NegMulAdd(capped, capped, splat(1)), slopes + j);
  }
}

// Adds bias and slopes to a row of scores and hides what the query must not see; keys beyond the end are hidden too.
HWY_INLINE void mask_row(const Attention& a, HeadPlace place, int64_t query, int64_t k0, float* scores) {
  const int64_t position = position_of(a, query);
  if (a.bias != nullptr) {
    const float* bias =
        a.bias + place.b * a.bias_batch_stride + place.h * a.bias_head_stride + query * a.bias_query_stride;
    const int64_t keys = std::min(tile, a.keys - k0);
    if (a.bias_key_stride == 1) {
      map(bias + k0, scores, scores, keys, [](V b, V score) HWY_ATTR { return hn::Add(b, score); });
    } else {
      for (int64_t j = 0; j < keys; ++j) scores[j] += bias[(k0 + j) * a.bias_key_stride];
    }
  }
  if (a.slopes != nullptr)
    for (int64_t j = 0; j < tile; ++j) scores[j] += a.slopes[place.h] * static_cast<float>(k0 + j - position);
  const int64_t last = std::min(a.causal ? position + 1 : a.keys, a.window > 0 ? position + a.window : a.keys);
  const int64_t end = std::clamp<int64_t>(std::min(last, a.keys) - k0, 0, tile);
  for (int64_t j = end; j < tile; ++j) scores[j] = nothing;
  if (a.window > 0)
    for (int64_t j = std::max<int64_t>(0, a.always - k0);
         j < std::clamp<int64_t>(position - a.window + 1 - k0, 0, tile); ++j)
      scores[j] = nothing;
  if (a.key_mask != nullptr)
    for (int64_t j = 0; j < end; ++j)
      if (a.key_mask[place.b * a.keys + k0 + j] == 0) scores[j] = nothing;
}

// Whether every query of the rows sees every key of the tile, so that masking can be left out.
HWY_INLINE bool tile_plain(const Attention& a, int64_t q0, int64_t k0) {
  return a.bias == nullptr && a.slopes == nullptr && a.window == 0 && a.key_mask == nullptr && k0 + tile <= a.keys &&
         (!a.causal || k0 + tile - 1 <= position_of(a, q0));
}

HWY_INLINE uint32_t dropout_threshold(const Attention& a) {
  return static_cast<uint32_t>(static_cast<double>(a.dropout) * 0x1p32);
}

// Multiplies a row of the tile by what dropout leaves of it: 0 or 1 / (1 - dropout).
HWY_INLINE void drop_row(const Attention& a, HeadPlace place, int64_t query, int64_t k0, float* row) {
  const uint32_t first = static_cast<uint32_t>(((place.b * a.heads + place.h) * a.queries + query) * a.keys + k0);
  const uint32_t threshold = dropout_threshold(a), key = a.dropout_key();
  const V factor = splat(1 / (1 - a.dropout));
  for (int64_t j = 0; j < tile; j += lanes()) {
    const auto kept = keeps(hn::Iota(U(), first + static_cast<uint32_t>(j)), key, threshold);
    store(hn::IfThenElseZero(kept, hn::Mul(load(row + j), factor)), row + j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
