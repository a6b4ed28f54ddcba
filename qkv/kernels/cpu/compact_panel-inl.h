// Panels of bf16 in 12 bits a number (compact_panel.h): writing them, reading them, and their product with one row.
// Included once for each instruction set.
#if defined(QKV_KERNELS_CPU_COMPACT_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_COMPACT_PANEL_INL_H_
#undef QKV_KERNELS_CPU_COMPACT_PANEL_INL_H_
#else
#define QKV_KERNELS_CPU_COMPACT_PANEL_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/compact_panel.h"
#include "qkv/kernels/cpu/panel_tile-inl.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

// Vectors that hold half a word's rows.
constexpr int half_vectors = static_cast<int>(panel_rows / 2 / hn::MaxLanes(U()));
static_assert(half_vectors > 0, "wider vectors than a word of a compact panel");

#if HWY_TARGET == HWY_SCALAR

using CompactTable = const CompactHead&;
inline CompactTable table_of(const CompactHead& head) { return head; }

// Vector v of a word's lower rows and of its upper ones.
inline void read_word(CompactTable head, const uint8_t* word, int v, VU& lower, VU& upper) {
  const auto row = [&](int64_t r) {
    return hn::Set(U(), compact_number(head, word, 2 * r) | uint32_t{compact_number(head, word, 2 * r + 1)} << 16);
  };
  lower = row(v);
  upper = row(panel_rows / 2 + v);
}

#else

using Bytes = hn::Repartition<uint8_t, U>;
using Shorts = hn::Repartition<uint16_t, U>;
using CompactTable = hn::Vec<Bytes>;
HWY_INLINE CompactTable table_of(const CompactHead& head) { return hn::LoadDup128(Bytes(), head.upper); }

// Vector v of a word's lower rows and of its upper ones.
HWY_INLINE void read_word(CompactTable table, const uint8_t* word, int v, VU& lower, VU& upper) {
  const int64_t at = v * 4 * lanes();
  const auto pairs = hn::PromoteTo(Shorts(), hn::LoadU(hn::Half<Bytes>(), word + word_numbers + at / 2));
  const auto codes = hn::BitCast(Bytes(), hn::And(hn::Or(pairs, hn::ShiftLeft<4>(pairs)), hn::Set(Shorts(), 0x0f0f)));
  const auto high = hn::TableLookupBytes(table, codes);
  const auto low = hn::LoadU(Bytes(), word + at);
  lower = hn::BitCast(U(), hn::InterleaveLower(Bytes(), low, high));
  upper = hn::BitCast(U(), hn::InterleaveUpper(Bytes(), low, high));
}

#endif

HWY_INLINE void read_word(CompactTable table, const uint8_t* word, uint32_t* out) {
  for (int v = 0; v < half_vectors; ++v) {
    VU lower, upper;
    read_word(table, word, v, lower, upper);
    hn::StoreU(lower, U(), out + v * lanes());
    hn::StoreU(upper, U(), out + panel_rows / 2 + v * lanes());
  }
}

HWY_INLINE void correct(const CompactException& e, uint32_t* word) {
  std::memcpy(reinterpret_cast<uint8_t*>(word) + 2 * e.number, &e.bits, sizeof e.bits);
}

// The panel as panels.h has it.
HWY_NOINLINE void expand_panel(const uint8_t* panel, int64_t words, uint32_t* out) {
  const auto* head = reinterpret_cast<const CompactHead*>(panel);
  const CompactTable table = table_of(*head);
  const uint8_t* word = panel + sizeof(CompactHead);
  for (int64_t i = 0; i < words; ++i, word += compact_word_bytes) {
    ask_for(word + read_ahead);
    ask_for(word + read_ahead + 64);
    read_word(table, word, out + i * panel_rows);
  }
  const CompactException* exceptions = exceptions_of(panel, words);
  for (uint32_t e = 0; e < head->exceptions; ++e) correct(exceptions[e], out + exceptions[e].word * panel_rows);
}

// out[r * panel_rows + j] = the products of the first row of x (`rows` 1), or of quads of rows, with the rows of a
// panel: the same sums, bit for bit, as those of panel_row() and panel_tile() with the expanded panel. A quad begins
// `stride` words behind the one before it.
template <typename Word, int rows>
HWY_NOINLINE void compact_rows(const uint8_t* panel, const uint32_t* x, int64_t words, int64_t stride, float* out) {
  constexpr int together = rows == 1 ? half_vectors : 1;  // vectors of a word that registers hold the sums of
  const auto* head = reinterpret_cast<const CompactHead*>(panel);
  const CompactTable table = table_of(*head);
  const CompactException* const first = exceptions_of(panel, words);
  const CompactException* const last = first + head->exceptions;
  for (int from = 0; from < half_vectors; from += together) {
    V lower[rows * together], upper[rows * together];
    for (int i = 0; i < rows * together; ++i) lower[i] = upper[i] = hn::Zero(F());
    const auto add = [&](int v, VU low, VU up, const uint32_t* x4) HWY_ATTR {
      for (int r = 0; r < rows; ++r) {
        const uint32_t word = x4[r / quad_rows * stride + r % quad_rows];
        lower[r * together + v] = Word::add(lower[r * together + v], low, word);
        upper[r * together + v] = Word::add(upper[r * together + v], up, word);
      }
    };
    const CompactException* next = first;
    const uint8_t* word = panel + sizeof(CompactHead);
    for (int64_t i = 0; i < words; ++i, word += compact_word_bytes) {
      const int64_t stop = next == last ? words : next->word;
      for (; i < stop; ++i, word += compact_word_bytes) {
        ask_for(word + read_ahead);
        ask_for(word + read_ahead + 64);
        for (int v = 0; v < together; ++v) {
          VU low, up;
          read_word(table, word, from + v, low, up);
          add(v, low, up, x + i * quad_rows);
        }
      }
      if (i == words) break;
      alignas(64) uint32_t numbers[panel_rows];
      read_word(table, word, numbers);
      for (; next != last && next->word == i; ++next) correct(*next, numbers);
      for (int v = 0; v < together; ++v)
        add(v, hn::LoadU(U(), numbers + (from + v) * lanes()),
            hn::LoadU(U(), numbers + panel_rows / 2 + (from + v) * lanes()), x + i * quad_rows);
    }
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < together; ++v) {
        store(lower[r * together + v], out + r * panel_rows + (from + v) * lanes());
        store(upper[r * together + v], out + r * panel_rows + panel_rows / 2 + (from + v) * lanes());
      }
  }
}

// The upper bytes that have codes: of the numbers without sign, a window of eight from `lowest` on, or of seven and 0.
struct CompactCodes {
  int32_t lowest = 0;
  bool zero = false;
};

// Those that take in most of a panel's numbers, or of every `step`-th word's.
inline CompactCodes codes_of(const uint32_t* panel, int64_t words, int64_t step) {
  constexpr int32_t bytes = 128;
  std::array<uint32_t, bytes + 1> below = {};  // numbers with a lower byte than this
  for (int64_t i = 0; i < words; i += step)
    for (int64_t r = 0; r < panel_rows; ++r) {
      const uint32_t both = panel[i * panel_rows + r];
      ++below[1 + (both >> 8 & 0x7f)];
      ++below[1 + (both >> 24 & 0x7f)];
    }
  const uint32_t zeros = below[1];
  std::partial_sum(below.begin(), below.end(), below.begin());
  CompactCodes best;
  uint32_t most = 0;
  for (const bool zero : {false, true}) {
    const int32_t width = zero ? 7 : 8;
    for (int32_t lowest = 0; lowest + width <= bytes; ++lowest) {
      const auto from = static_cast<size_t>(lowest);
      const uint32_t taken = below[from + static_cast<size_t>(width)] - below[from] + (zero && lowest > 0 ? zeros : 0);
      if (taken > most) {
        most = taken;
        best = {lowest, zero};
      }
    }
  }
  return best;
}

// Whether the panel fits: not if it has too many exceptions.
HWY_NOINLINE bool compact_panel(const uint32_t* panel, int64_t words, CompactCodes which, uint8_t* out) {
  const hn::CappedTag<uint16_t, 8> D;
  const hn::Rebind<uint8_t, decltype(D)> half;
  const auto add = static_cast<int64_t>(hn::Lanes(D));
  const auto all = [&](int value) HWY_ATTR { return hn::Set(D, static_cast<uint16_t>(value)); };
  CompactHead head = {};
  for (int c = 0; c < 8; ++c) {
    head.upper[c] = static_cast<uint8_t>(c == 7 && which.zero ? 0 : which.lowest + c);
    head.upper[8 + c] = static_cast<uint8_t>(head.upper[c] | 0x80);
  }
  auto* const exceptions = reinterpret_cast<CompactException*>(out + exceptions_at(words));
  uint8_t* word = out + sizeof head;
  const auto end = all(which.zero ? 7 : 8);
  for (int64_t i = 0; i < words; ++i, word += compact_word_bytes) {
    alignas(64) uint8_t codes[word_numbers];
    const auto* numbers = reinterpret_cast<const uint16_t*>(panel + i * panel_rows);
    auto missed = hn::Zero(D);
    for (int64_t n = 0; n < word_numbers; n += add) {
      const auto bits = hn::LoadU(D, numbers + n);
      const auto byte = hn::And(hn::ShiftRight<8>(bits), all(0x7f));
      const auto place = hn::Sub(byte, all(which.lowest));  // far above the window for what is below it
      const auto beyond = hn::VecFromMask(D, hn::Eq(hn::Min(place, end), end));
      missed = hn::Or(missed, hn::And(beyond, which.zero ? byte : all(1)));
      const auto sign = hn::And(hn::ShiftRight<12>(bits), all(8));
      hn::StoreU(hn::TruncateTo(half, bits), half, word + place_of(n));
      hn::StoreU(hn::TruncateTo(half, hn::Or(hn::Min(place, all(7)), sign)), half, codes + place_of(n));
    }
    for (int64_t p = 0; p < word_numbers / 2; p += add) {
      const auto pairs = hn::LoadU(D, reinterpret_cast<const uint16_t*>(codes) + p);
      hn::StoreU(hn::TruncateTo(half, hn::Or(pairs, hn::ShiftRight<4>(pairs))), half, word + word_numbers + p);
    }
    if (hn::AllTrue(D, hn::Eq(missed, hn::Zero(D)))) continue;
    for (int64_t n = 0; n < word_numbers; ++n) {
      if (compact_number(head, word, n) == numbers[n]) continue;
      if (head.exceptions == most_exceptions(words)) return false;
      exceptions[head.exceptions++] = {static_cast<uint32_t>(i), static_cast<uint16_t>(n), numbers[n]};
    }
  }
  std::memcpy(out, &head, sizeof head);
  return true;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
