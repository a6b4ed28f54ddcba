// Vectors of f32, loaded from and stored to f32 or bf16, and the functions the kernels need of them. Included once for
// each instruction set (see Highway's foreach_target).
#if defined(QKV_KERNELS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QKV_KERNELS_CPU_VECTOR_INL_H_
#undef QKV_KERNELS_CPU_VECTOR_INL_H_
#else
#define QKV_KERNELS_CPU_VECTOR_INL_H_
#endif

#include "hwy/highway.h"
#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::ScalableTag<float>;
using V = hn::Vec<F>;
using U = hn::ScalableTag<uint32_t>;
using U16 = hn::Rebind<uint16_t, F>;
using I = hn::ScalableTag<int32_t>;

HWY_INLINE int64_t lanes() { return static_cast<int64_t>(hn::Lanes(F())); }

HWY_INLINE V load(const float* p) { return hn::LoadU(F(), p); }
HWY_INLINE void store(V v, float* p) { hn::StoreU(v, F(), p); }

HWY_INLINE V load(const bf16* p) {
  const auto bits = hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(F(), hn::ShiftLeft<16>(hn::PromoteTo(U(), bits)));
}
// Rounds to nearest even.
HWY_INLINE void store(V v, bf16* p) {
  const auto bits = hn::BitCast(U(), v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(U(), 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(U(), 0x7fff))));
  hn::StoreU(hn::TruncateTo(U16(), rounded), U16(), reinterpret_cast<uint16_t*>(p));
}

// The first n < lanes() elements; the others are zero, or not written.
template <typename T>
HWY_INLINE V load_part(const T* p, int64_t n) {
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(buffer, p, static_cast<size_t>(n) * sizeof(T));
  return load(buffer);
}
template <typename T>
HWY_INLINE void store_part(V v, T* p, int64_t n) {
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(float)];
  store(v, buffer);
  std::memcpy(p, buffer, static_cast<size_t>(n) * sizeof(T));
}

// Element i on: a whole vector, or the first `count` < lanes() elements of one.
template <typename T>
HWY_INLINE V load_at(const T* x, int64_t i, int64_t count) {
  return count == lanes() ? load(x + i) : load_part(x + i, count);
}
template <typename T>
HWY_INLINE void store_at(V v, T* x, int64_t i, int64_t count) {
  if (count == lanes()) {
    store(v, x + i);
  } else {
    store_part(v, x + i, count);
  }
}

HWY_INLINE V splat(float x) { return hn::Set(F(), x); }
HWY_INLINE float sum_of(V v) { return hn::GetLane(hn::SumOfLanes(F(), v)); }
HWY_INLINE float max_of(V v) { return hn::GetLane(hn::MaxOfLanes(F(), v)); }

// e^x to 2 ulp: 2^n times a polynomial in the rest r, |r| <= ln(2)/2. Below -87.3 it is 0, above 88.7 it saturates.
HWY_INLINE V exp(V x) {
  const V lowest = splat(-87.3F);
  const V clamped = hn::Min(hn::Max(x, lowest), splat(88.7F));
  const V n = hn::Round(hn::Mul(clamped, splat(1.44269504F)));
  const V high = hn::NegMulAdd(n, splat(0.693359375F), clamped);
  const V r = hn::NegMulAdd(n, splat(-2.12194440e-4F), high);
  V p = hn::MulAdd(splat(1.3981999e-3F), r, splat(8.3334519e-3F));
  p = hn::MulAdd(p, r, splat(4.1665795e-2F));
  p = hn::MulAdd(p, r, splat(1.6666665e-1F));
  p = hn::MulAdd(p, r, splat(0.5F));
  p = hn::MulAdd(p, hn::Mul(r, r), hn::Add(r, splat(1.0F)));
  // At n = 128 the exponent field would overflow: the power is applied in two halves.
  const auto whole = hn::ConvertTo(I(), n);
  const auto half = hn::ShiftRight<1>(whole);
  const auto power = [](hn::Vec<I> e)
                         HWY_ATTR { return hn::BitCast(F(), hn::ShiftLeft<23>(hn::Add(e, hn::Set(I(), 127)))); };
  const V y = hn::Mul(hn::Mul(p, power(half)), power(hn::Sub(whole, half)));
  // Written so that NaN stays NaN.
  return hn::IfThenElse(hn::Lt(x, lowest), hn::Zero(F()), hn::IfThenElse(hn::Eq(x, x), y, x));
}

HWY_INLINE V sigmoid(V x) { return hn::Div(splat(1), hn::Add(splat(1), exp(hn::Neg(x)))); }

HWY_INLINE V tanh(V x) { return hn::Sub(splat(1), hn::Div(splat(2), hn::Add(exp(hn::Add(x, x)), splat(1)))); }

// erf(x), given e = exp(-x^2), to 1.5e-7 (Abramowitz & Stegun 7.1.26).
HWY_INLINE V erf(V x, V e) {
  const V t = hn::Div(splat(1), hn::MulAdd(splat(0.3275911F), hn::Abs(x), splat(1)));
  V p = hn::MulAdd(splat(1.061405429F), t, splat(-1.453152027F));
  p = hn::MulAdd(p, t, splat(1.421413741F));
  p = hn::MulAdd(p, t, splat(-0.284496736F));
  p = hn::MulAdd(p, t, splat(0.254829592F));
  const V positive = hn::NegMulAdd(hn::Mul(p, t), e, splat(1));
  return hn::CopySignToAbs(positive, x);
}

// erf(x) to 4e-7: x P(x^2) / Q(x^2) up to 3.9, where it is 1 but for rounding. The coefficients make the largest
// relative error least, 1.8e-8 in exact arithmetic. The order of operands keeps NaN.
HWY_INLINE V erf(V x) {
  const V bounded = hn::Max(splat(-3.9F), hn::Min(splat(3.9F), x));
  const V square = hn::Mul(bounded, bounded);
  V p = hn::MulAdd(splat(2.06626297e-06F), square, splat(2.85090564e-04F));
  V q = hn::MulAdd(splat(3.82693474e-05F), square, splat(1.15767303e-03F));
  p = hn::MulAdd(p, square, splat(3.73955572e-03F));
  q = hn::MulAdd(q, square, splat(1.49166751e-02F));
  p = hn::MulAdd(p, square, splat(5.26717589e-02F));
  q = hn::MulAdd(q, square, splat(1.13830534e-01F));
  p = hn::MulAdd(p, square, splat(1.89694881e-01F));
  q = hn::MulAdd(q, square, splat(5.01445481e-01F));
  p = hn::MulAdd(p, square, splat(1.12837915F));
  q = hn::MulAdd(q, square, splat(1));
  return hn::Div(hn::Mul(bounded, p), q);
}

// Calls body(load part, store part) over [0, n): see the loops below.
template <typename A, typename Y, typename Function>
HWY_INLINE void map(const A* a, Y* y, int64_t n, Function&& f) {
  const int64_t N = lanes();
  int64_t i = 0;
  for (; i + N <= n; i += N) store(f(load(a + i)), y + i);
  if (i < n) store_part(f(load_part(a + i, n - i)), y + i, n - i);
}
template <typename A, typename B, typename Y, typename Function>
HWY_INLINE void map(const A* a, const B* b, Y* y, int64_t n, Function&& f) {
  const int64_t N = lanes();
  int64_t i = 0;
  for (; i + N <= n; i += N) store(f(load(a + i), load(b + i)), y + i);
  if (i < n) store_part(f(load_part(a + i, n - i), load_part(b + i, n - i)), y + i, n - i);
}

// dropout_hash (core/random.h) lane by lane, and whether the element stays.
HWY_INLINE hn::Vec<U> hash(hn::Vec<U> index, uint32_t key) {
  auto x = hn::Xor(index, hn::Set(U(), key));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(U(), 0x7feb352dU));
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, hn::Set(U(), 0x846ca68bU));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}
// As bf16_at_random (tensor/dtype.h), but that a NaN may become infinite.
HWY_INLINE void store_at_random(V v, hn::Vec<U> random, bf16* p, int64_t count) {
  const auto bits = hn::BitCast(U(), v);
  const auto exponent = hn::Set(U(), 0x7f800000U);
  const auto number = hn::Ne(hn::And(bits, exponent), exponent);
  const auto sum = hn::Add(bits, hn::IfThenElseZero(number, hn::And(random, hn::Set(U(), 0xffff))));
  HWY_ALIGN uint16_t rounded[HWY_MAX_BYTES / sizeof(float)];
  hn::StoreU(hn::TruncateTo(U16(), hn::ShiftRight<16>(sum)), U16(), rounded);
  std::memcpy(p, rounded, static_cast<size_t>(count) * sizeof(bf16));
}
HWY_INLINE hn::Mask<F> keeps(hn::Vec<U> index, uint32_t key, uint32_t threshold) {
  const auto drawn = hash(index, key);
  // Unsigned drawn >= threshold, said with what every instruction set has.
  return hn::RebindMask(F(), hn::Eq(hn::Max(drawn, hn::Set(U(), threshold)), drawn));
}

}  // namespace HWY_NAMESPACE
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();

#endif
