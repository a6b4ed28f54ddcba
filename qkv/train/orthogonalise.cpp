#include "qkv/train/orthogonalise.h"

#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// a b^T or a b, f32.
Tensor product(const Tensor& a, const Tensor& b, bool b_transposed) {
  const int64_t n = b_transposed ? b.size(0) : b.size(1);
  Tensor c = Tensor::empty({a.size(0), n}, DType::f32, a.device());
  kernels_of(a).gemm({.m = a.size(0),
                      .n = n,
                      .k = a.size(1),
                      .a = a.raw(),
                      .lda = a.size(1),
                      .b = b.raw(),
                      .ldb = b.size(1),
                      .b_transposed = b_transposed,
                      .c = c.raw(),
                      .ldc = n});
  return c;
}

Tensor weighted_sum(float alpha, const Tensor& a, float beta, const Tensor& b) {
  Tensor y = Tensor::empty(a.shape(), DType::f32, a.device());
  kernels_of(a).binary({.count = a.numel(),
                        .b_count = a.numel(),
                        .a = a.raw(),
                        .b = b.raw(),
                        .y = y.raw(),
                        .alpha = alpha,
                        .beta = beta});
  return y;
}

}  // namespace

Tensor orthogonalise(const Tensor& g) {
  constexpr float a = 3.4445F, b = -4.7750F, c = 2.0315F;
  const bool tall = g.size(0) > g.size(1);  // the products are over the shorter side
  Tensor x = clone(tall ? g.transpose(0, 1) : g);
  const kernels::KernelSet& kernel = kernels_of(x);
  const kernels::L2NormPart whole{.count = x.numel(), .type = x.dtype(), .x = x.raw()};
  const Tensor norm = Tensor::empty({}, DType::f32, x.device());
  kernel.l2_norm({&whole, 1}, norm.data<float>());
  kernel.scale({.count = x.numel(), .x = x.raw(), .y = x.raw(), .alpha = 1 / (norm.item() + 1e-7F)});
  for (int i = 0; i < 5; ++i) {
    const Tensor square = product(x, x, true);
    const Tensor factor = weighted_sum(b, square, c, product(square, square, false));
    x = weighted_sum(a, x, 1, product(factor, x, false));
  }
  return tall ? clone(x.transpose(0, 1)) : x;
}

}  // namespace qkv
