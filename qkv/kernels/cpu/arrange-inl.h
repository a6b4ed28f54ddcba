// Rows of a product's operands in the order of panels.h. Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_ARRANGE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_ARRANGE_INL_H_
#undef QKV_KERNELS_CPU_ARRANGE_INL_H_
#else
#define QKV_KERNELS_CPU_ARRANGE_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/core/threads.h"
#include "qkv/kernels/cpu/dispatch.h"
#include "qkv/kernels/cpu/panels.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// A matrix [rows, k] of T: row r, column c is data[r * ld + c].
template <typename T>
struct Operand {
  const T* data;
  int64_t rows, k, ld;
};

template <typename W>
constexpr int64_t numbers_of_a_word = sizeof(uint32_t) / sizeof(W);
constexpr int64_t words_at_once = 128;

// Words [word, word + count) of four rows from `first` on, as numbers of type W: out[count][4].
template <typename W, typename T>
HWY_INLINE void quad_of_rows(const Operand<T>& x, int64_t first, int64_t word, int64_t count, uint32_t* out) {
  alignas(64) uint32_t rows[quad_rows][words_at_once];
  const int64_t column = word * numbers_of_a_word<W>;
  const int64_t columns = std::min(count * numbers_of_a_word<W>, x.k - column);
  for (int64_t r = 0; r < quad_rows; ++r) {
    if (first + r >= x.rows) {
      std::fill_n(rows[r], count, 0U);
      continue;
    }
    const T* from = x.data + (first + r) * x.ld + column;
    rows[r][count - 1] = 0;
    if constexpr (std::is_same_v<W, T>) {
      std::memcpy(rows[r], from, static_cast<size_t>(columns) * sizeof(T));
    } else {
      map(from, reinterpret_cast<W*>(rows[r]), columns, [](V v) HWY_ATTR { return v; });
    }
  }
  int64_t i = 0;
  for (; i + lanes() <= count; i += lanes())
    hn::StoreInterleaved4(hn::LoadU(U(), rows[0] + i), hn::LoadU(U(), rows[1] + i), hn::LoadU(U(), rows[2] + i),
                          hn::LoadU(U(), rows[3] + i), U(), out + i * quad_rows);
  for (; i < count; ++i)
    for (int64_t r = 0; r < quad_rows; ++r) out[i * quad_rows + r] = rows[r][i];
}

// A panel: rows [first, first + panel_rows), out[words][panel_rows].
template <typename W, typename T>
void arrange_panel(const Operand<T>& x, int64_t first, int64_t words, uint32_t* out) {
  constexpr int64_t quads_of_a_panel = panel_rows / quad_rows;
  alignas(64) uint32_t quads[quads_of_a_panel][words_at_once * quad_rows];
  for (int64_t word = 0; word < words; word += words_at_once) {
    const int64_t count = std::min(words_at_once, words - word);
    for (int64_t q = 0; q < quads_of_a_panel; ++q) quad_of_rows<W>(x, first + q * quad_rows, word, count, quads[q]);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t q = 0; q < quads_of_a_panel; ++q)
        std::memcpy(out + (word + i) * panel_rows + q * quad_rows, quads[q] + i * quad_rows,
                    quad_rows * sizeof(uint32_t));
  }
}

// All rows as quads, out[quads_of(rows)][words][quad_rows].
template <typename W, typename T>
void arrange_quads(const Operand<T>& x, int64_t words, uint32_t* out) {
  const int64_t grain = std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, quad_rows * words));
  parallel_for(quads_of(x.rows), grain, [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t q = begin; q < end; ++q)
      for (int64_t word = 0; word < words; word += words_at_once)
        quad_of_rows<W>(x, q * quad_rows, word, std::min(words_at_once, words - word),
                        out + (q * words + word) * quad_rows);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
