// Integers of a packed weight (packed_layout.h), and their products with integers of x. Included once for each
// instruction set.
#if defined(QKV_KERNELS_CPU_PACKED_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_PACKED_CODES_INL_H_
#undef QKV_KERNELS_CPU_PACKED_CODES_INL_H_
#else
#define QKV_KERNELS_CPU_PACKED_CODES_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/kernels/cpu/packed_layout.h"
#include "qkv/kernels/cpu/vector-inl.h"

#include <algorithm>
#include <cstring>
#include <utility>

HWY_BEFORE_NAMESPACE();
#if defined(QKV_VNNI)
HWY_PUSH_ATTRIBUTES("avx512vnni")
#endif
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace {

using VI = hn::Vec<I>;

// Vectors of a group's rows that a tile takes at once: what it loads of x is used for each.
constexpr int vectors = HWY_TARGET == HWY_AVX2 ? 2 : 1;

// Codes of four columns in each lane's four bytes.
#if HWY_TARGET == HWY_SCALAR
using VB = uint32_t;
HWY_INLINE VB load_codes(const uint8_t* p) {
  VB codes;
  std::memcpy(&codes, p, sizeof codes);
  return codes;
}
HWY_INLINE VB masked(VB codes, uint8_t mask) { return codes & (mask * 0x01010101U); }
HWY_INLINE VB both_of(VB a, VB b) { return a | b; }
HWY_INLINE VB looked_up(const uint8_t* table, VB codes) {
  VB values = 0;
  for (int i = 0; i < 32; i += 8) values |= static_cast<VB>(table[(codes >> i) & 15]) << i;
  return values;
}
#else
using Bytes = hn::Repartition<uint8_t, I>;
using Halves = hn::Repartition<uint16_t, I>;
using VB = hn::Vec<Bytes>;
HWY_INLINE VB load_codes(const uint8_t* p) { return hn::LoadU(Bytes(), p); }
HWY_INLINE VB masked(VB codes, uint8_t mask) { return hn::And(codes, hn::Set(Bytes(), mask)); }
HWY_INLINE VB both_of(VB a, VB b) { return hn::Or(a, b); }
HWY_INLINE VB looked_up(const uint8_t* table, VB codes) {
  return hn::TableLookupBytes(hn::LoadDup128(Bytes(), table), codes);
}
#endif

// Shifts bytes left (right when negative); bits that cross into a neighbour are for the caller to mask away.
template <int by>
HWY_INLINE VB shifted(VB v) {
#if HWY_TARGET == HWY_SCALAR
  return by >= 0 ? v << (by > 0 ? by : 0) : v >> (by < 0 ? -by : 0);
#else
  if constexpr (by == 0) {
    return v;
  } else if constexpr (by > 0) {
    return hn::BitCast(Bytes(), hn::ShiftLeft<by>(hn::BitCast(Halves(), v)));
  } else {
    return hn::BitCast(Bytes(), hn::ShiftRight<-by>(hn::BitCast(Halves(), v)));
  }
#endif
}

// The codes of quad j, of the rows whose bytes begin at `planes`.
template <const PackedLayout& layout, int j>
HWY_INLINE VB codes_of(const uint8_t* planes) {
  VB codes;
  if constexpr (layout.low_bits == 8) {
    codes = load_codes(planes + 64 * j);
  } else {
    constexpr int a_vector = 8 / layout.low_bits;
    constexpr uint8_t mask = (1 << layout.low_bits) - 1;
    codes = masked(shifted<-layout.low_bits*(j % a_vector)>(load_codes(planes + 64 * (j / a_vector))), mask);
  }
  if constexpr (layout.high_bits > 0) {
    constexpr int a_vector = 8 / layout.high_bits;
    constexpr int place = layout.high_bits * (j % a_vector);
    constexpr uint8_t mask = ((1 << layout.high_bits) - 1) << layout.low_bits;
    const VB high = load_codes(planes + layout.low_bytes() + 64 * (j / a_vector));
    codes = both_of(codes, masked(shifted<layout.low_bits - place>(high), mask));
  }
  if constexpr (layout.table) {
    // IQ4_NL's values plus 128.
    alignas(16) static constexpr uint8_t values[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                       129, 141, 153, 166, 181, 197, 217, 241};
    codes = looked_up(values, codes);
  }
  return codes;
}

// Four bytes of a row of x, or two sums of some, as the word that goes to every lane.
HWY_INLINE int32_t word_of(const void* x) {
  int32_t word;
  std::memcpy(&word, x, sizeof word);
  return word;
}

// sums[i] += sum over the four bytes of lane i of code (unsigned) times the byte of x4 (signed).
HWY_INLINE VI dot_quads(VI sums, VB codes, const int8_t* x4) {
#if defined(QKV_VNNI) && defined(__clang__)
  // Clang keeps the first of two target attributes, and Highway's own has no VNNI.
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sums.raw) : "v"(codes.raw), "m"(*reinterpret_cast<const int8_t(*)[4]>(x4)));
  return sums;
#elif defined(QKV_VNNI)
  return VI{_mm512_dpbusd_epi32(sums.raw, codes.raw, _mm512_set1_epi32(word_of(x4)))};
#elif HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  using Signed = hn::Repartition<int16_t, I>;
  const auto x = hn::BitCast(Signed(), hn::Set(I(), word_of(x4)));
  const auto w = hn::BitCast(Halves(), codes);
  const auto even = hn::BitCast(Signed(), hn::And(w, hn::Set(Halves(), 0x00ff)));
  const auto odd = hn::BitCast(Signed(), hn::ShiftRight<8>(w));
  VI unused = hn::Zero(I());
  sums = hn::ReorderWidenMulAccumulate(I(), even, hn::ShiftRight<8>(hn::ShiftLeft<8>(x)), sums, unused);
  return hn::ReorderWidenMulAccumulate(I(), odd, hn::ShiftRight<8>(x), sums, unused);
#else
#if HWY_TARGET == HWY_SCALAR
  const VI w = hn::Set(I(), static_cast<int32_t>(codes));
#else
  const VI w = hn::BitCast(I(), codes);
#endif
  const VI byte = hn::Set(I(), 0xff);
  sums = hn::Add(sums, hn::Mul(hn::And(w, byte), hn::Set(I(), x4[0])));
  sums = hn::Add(sums, hn::Mul(hn::And(hn::ShiftRight<8>(w), byte), hn::Set(I(), x4[1])));
  sums = hn::Add(sums, hn::Mul(hn::And(hn::ShiftRight<16>(w), byte), hn::Set(I(), x4[2])));
  return hn::Add(sums, hn::Mul(hn::And(hn::ShiftRight<24>(w), byte), hn::Set(I(), x4[3])));
#endif
}

HWY_INLINE V load_f16(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, F> half;
  return hn::PromoteTo(F(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(p)));
}
HWY_INLINE VI load_i8(const uint8_t* p) {
  const hn::Rebind<int8_t, I> byte;
  return hn::PromoteTo(I(), hn::LoadU(byte, reinterpret_cast<const int8_t*>(p)));
}

HWY_INLINE V in_floats(VI v) { return hn::ConvertTo(F(), v); }
HWY_INLINE V in_floats(V v) { return v; }

// Two integers of 16 bits in each lane.
HWY_INLINE VI pair_of(VI lower, VI upper) {
  return hn::Or(hn::And(lower, hn::Set(I(), 0xffff)), hn::ShiftLeft<16>(upper));
}

// sums[i] += lower of lane i times x[0] + upper times x[1].
HWY_INLINE VI dot_pairs(VI sums, VI pairs, const int16_t* x) {
#if defined(QKV_VNNI) && defined(__clang__)
  asm("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sums.raw) : "v"(pairs.raw), "m"(*reinterpret_cast<const int16_t(*)[2]>(x)));
  return sums;
#elif defined(QKV_VNNI)
  return VI{_mm512_dpwssd_epi32(sums.raw, pairs.raw, _mm512_set1_epi32(word_of(x)))};
#elif HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  using Signed = hn::Repartition<int16_t, I>;
  VI unused = hn::Zero(I());
  return hn::ReorderWidenMulAccumulate(I(), hn::BitCast(Signed(), pairs),
                                       hn::BitCast(Signed(), hn::Set(I(), word_of(x))), sums, unused);
#else
  const VI lower = hn::ShiftRight<16>(hn::ShiftLeft<16>(pairs)), upper = hn::ShiftRight<16>(pairs);
  return hn::Add(sums, hn::Add(hn::Mul(lower, hn::Set(I(), x[0])), hn::Mul(upper, hn::Set(I(), x[1]))));
#endif
}

// Codes that use all of a byte's 256 values.
constexpr bool fills_bytes(const PackedLayout& layout) { return layout.low_bits == 8 || layout.table; }

// What the codes that are multiplied lie above the weight's integers.
constexpr int32_t offset_of(const PackedLayout& layout) {
  return HWY_TARGET == HWY_AVX2 && fills_bytes(layout) ? 0 : layout.offset;
}

// The largest code, or, of codes that fill a byte, the largest distance from their middle.
constexpr int largest_code(const PackedLayout& layout) {
  return fills_bytes(layout) ? 128 : (1 << (layout.low_bits + layout.high_bits)) - 1;
}

#if HWY_TARGET == HWY_AVX2
// Parts are weighed in integers, where widening them weighs them too.
using Weighed = VI;

// The weight of a part with the integer scale `own` in a super-block with the scale `scale`, which is multiplied later.
HWY_INLINE Weighed weight_of(VI own, V /*scale*/) { return own; }

constexpr int64_t vector_bytes = 32;
using Pairs = hn::Vec<hn::Repartition<int16_t, I>>;

// Of each two bytes beside each other the sum of w (unsigned) times x (signed), which must fit 16 bits.
HWY_INLINE Pairs multiplied(VB w, __m256i x) { return Pairs{_mm256_maddubs_epi16(w.raw, x)}; }

// Products of a part of a block, quads first to first + j, with `rows` rows of x: of lane i of result r * vectors + v,
//   sums += weight[v] * sum over the part of code * x.
// As many pairs as 16 bits can hold are added before they widen, and are weighed then. Codes that fill a byte are taken
// as a sign, which goes to x, and a magnitude.
template <const PackedLayout& layout, int rows, int first, int... j>
HWY_INLINE void add_weighed(Weighed (&sums)[rows * vectors], const uint8_t* planes, const int8_t* x, int64_t k,
                            const Weighed (&weight)[vectors], std::integer_sequence<int, j...>) {
  constexpr int fitting = std::min<int>(sizeof...(j), 32767 / (2 * 127 * largest_code(layout)));
  constexpr int span = fitting >= 8 ? 8 : fitting >= 4 ? 4 : fitting >= 2 ? 2 : 1;
  Pairs pairs[rows * vectors];
  __m256i twice[vectors];
  for (int v = 0; v < vectors; ++v) twice[v] = pair_of(weight[v], weight[v]).raw;
  const auto one = [&](auto quad) HWY_ATTR {
    constexpr int at = decltype(quad)::value;
    VB codes[vectors], signs[vectors];
    for (int v = 0; v < vectors; ++v) {
      codes[v] = codes_of<layout, first + at>(planes + v * vector_bytes);
      signs[v] = hn::Xor(codes[v], hn::Set(Bytes(), 0x80));
      if constexpr (fills_bytes(layout)) codes[v] = VB{_mm256_abs_epi8(signs[v].raw)};
    }
    for (int r = 0; r < rows; ++r) {
      const __m256i four = _mm256_set1_epi32(word_of(x + r * k + 4 * (first + at)));
      for (int v = 0; v < vectors; ++v) {
        Pairs& sum = pairs[r * vectors + v];
        const Pairs now = multiplied(codes[v], fills_bytes(layout) ? _mm256_sign_epi8(four, signs[v].raw) : four);
        sum = at % span == 0 ? now : hn::Add(sum, now);
        asm("" : "+x"(sum.raw));  // sums in this order: in another, compilers keep all products in memory
        if constexpr (at % span == span - 1)
          sums[r * vectors + v] = hn::Add(sums[r * vectors + v], VI{_mm256_madd_epi16(sum.raw, twice[v])});
      }
    }
  };
  (one(std::integral_constant<int, j>()), ...);
}

// sums += sum over the part of code * x.
template <const PackedLayout& layout, int rows, int first, int... j>
HWY_INLINE void add_quads(VI (&sums)[rows * vectors], const uint8_t* planes, const int8_t* x, int64_t k,
                          std::integer_sequence<int, j...> quads) {
  VI ones[vectors];
  for (VI& one : ones) one = hn::Set(I(), 1);
  add_weighed<layout, rows, first>(sums, planes, x, k, ones, quads);
}
#else
// Parts are weighed in floats, for which a multiplication and an addition are one operation.
using Weighed = V;

// The weight of a part with the integer scale `own` in a super-block with the scale `scale`.
HWY_INLINE Weighed weight_of(VI own, V scale) { return hn::Mul(in_floats(own), scale); }

// sums += sum over a part of a block, quads first to first + j, of code * x: lane i of result r is of row i of the
// group and row r of x.
template <const PackedLayout& layout, int rows, int first, int... j>
HWY_INLINE void add_quads(VI (&sums)[rows], const uint8_t* planes, const int8_t* x, int64_t k,
                          std::integer_sequence<int, j...>) {
  const auto one = [&](auto quad) HWY_ATTR {
    constexpr int q = first + decltype(quad)::value;
    const VB codes = codes_of<layout, q>(planes);
    for (int r = 0; r < rows; ++r) sums[r] = dot_quads(sums[r], codes, x + r * k + 4 * q);
  };
  (one(std::integral_constant<int, j>()), ...);
}

// sums += weight * sum over the part of code * x.
template <const PackedLayout& layout, int rows, int first, int... j>
HWY_INLINE void add_weighed(Weighed (&sums)[rows], const uint8_t* planes, const int8_t* x, int64_t k,
                            const Weighed (&weight)[vectors], std::integer_sequence<int, j...> quads) {
  VI part[rows];
  for (VI& sum : part) sum = hn::Zero(I());
  add_quads<layout, rows, first>(part, planes, x, k, quads);
  for (int r = 0; r < rows; ++r) sums[r] = hn::MulAdd(in_floats(part[r]), weight[0], sums[r]);
}
#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
#if defined(QKV_VNNI)
HWY_POP_ATTRIBUTES
#endif
HWY_AFTER_NAMESPACE();

#endif
