#include "qkv/ops/matmul.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// Every matrix of a pair of stacks: op(A) op(B), as Gemm has them.
Tensor products(const Tensor& a, bool a_transposed, const Tensor& b, bool b_transposed) {
  const int64_t m = a.size(a_transposed ? -1 : -2), k = a.size(a_transposed ? -2 : -1);
  const int64_t n = b.size(b_transposed ? -2 : -1);
  Shape shape = a.shape();
  shape.set(-2, m);
  shape.set(-1, n);
  Tensor c = Tensor::empty(shape, a.dtype(), a.device());
  const int64_t count = m * n == 0 ? 0 : c.numel() / (m * n);
  const int64_t size = size_of(a.dtype());
  for (int64_t i = 0; i < count; ++i)
    kernels_of(a, b).gemm({.m = m,
                           .n = n,
                           .k = k,
                           .a = static_cast<const char*>(a.raw()) + i * m * k * size,
                           .a_type = a.dtype(),
                           .lda = a.size(-1),
                           .a_transposed = a_transposed,
                           .b = static_cast<const char*>(b.raw()) + i * k * n * size,
                           .b_type = b.dtype(),
                           .ldb = b.size(-1),
                           .b_transposed = b_transposed,
                           .c = static_cast<char*>(c.raw()) + i * m * n * size,
                           .c_type = c.dtype(),
                           .ldc = n});
  return c;
}

Tensor product(const Tensor& left, const Tensor& right, bool transposed, std::string_view op) {
  check_compute_type(left, op);
  Shape expected = left.shape();
  const int rank = left.rank();
  check(rank >= 2 && right.rank() == rank && left.dtype() == right.dtype(), op, "expected two stacks of matrices");
  expected.set(transposed ? -1 : -2, left.size(-1));
  expected.set(transposed ? -2 : -1, right.size(transposed ? -2 : -1));
  check(right.shape() == expected, op, "{} does not fit {}", right.shape(), left.shape());
  const Tensor a = contiguous(left), b = contiguous(right);
  Tensor c = products(a, false, b, transposed);
  if (wants_grad({&a, &b}))
    record({&c}, {&a, &b}, [a, b, transposed, da = wants_grad(a), db = wants_grad(b)](std::span<const Tensor> grads) {
      const Tensor dc = contiguous(grads[0]);
      if (da) accumulate_grad(a, products(dc, false, b, !transposed));
      if (db) accumulate_grad(b, transposed ? products(dc, true, a, false) : products(a, true, dc, false));
    });
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) { return product(a, b, false, "matmul"); }
Tensor matmul_transposed(const Tensor& a, const Tensor& b) { return product(a, b, true, "matmul_transposed"); }

}  // namespace qkv
