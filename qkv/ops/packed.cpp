#include "qkv/ops/packed.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {

namespace {

Tensor packed_as(DType type, const Tensor& weight, float outlier) {
  check(weight && weight.rank() == 2 && weight.contiguous() && !weight.packed(), "packed",
        "expected a dense matrix, got {}", weight ? to_string(weight.shape()) : "none");
  if (!is_block(type)) check_compute_type(weight, "packed");
  const kernels::KernelSet& kernel = kernels_of(weight);
  const int64_t n = weight.size(0);
  const int64_t k = weight.size(1);
  const std::shared_ptr<Storage> memory =
      Storage::allocate(static_cast<size_t>(kernel.packed_bytes(type, n, k)), weight.device());
  kernel.pack({.type = type,
               .n = n,
               .k = k,
               .rows = weight.raw(),
               .rows_type = weight.dtype(),
               .outlier = outlier,
               .packed = memory->data()});
  return Tensor::wrap_packed(memory, weight.shape(), type);
}

}  // namespace

Tensor packed(const Tensor& weight) { return packed_as(weight.dtype(), weight, 0); }

Tensor packed_int8(const Tensor& weight, float outlier) { return packed_as(DType::i8, weight, outlier); }

Tensor packed_linear(const Tensor& input, const Tensor& weight, const Tensor& bias, Activation activation) {
  check_compute_type(input, "packed_linear");
  check(weight.packed(), "packed_linear", "the weight is not packed");
  check(input.rank() >= 1 && input.size(-1) == weight.size(1), "packed_linear",
        "expected x[..., K] and W[N, K], got x {} and W {}", to_string(input.shape()), to_string(weight.shape()));
  check(!bias || (bias.shape() == Shape{weight.size(0)} && bias.dtype() == DType::f32), "packed_linear",
        "expected an f32 bias [{}], got {}", weight.size(0), bias ? to_string(bias.shape()) : "");
  check(!wants_grad({&input, &bias}), "packed_linear", "packed weights are for inference: there is no gradient");
  const Tensor x = contiguous(input);
  Shape shape = x.shape();
  shape.set(-1, weight.size(0));
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  kernels_of(x, weight, bias)
      .packed_gemm({.m = x.numel() / std::max<int64_t>(1, weight.size(1)),
                    .n = weight.size(0),
                    .k = weight.size(1),
                    .a = x.raw(),
                    .a_type = x.dtype(),
                    .lda = weight.size(1),
                    .packed = weight.raw(),
                    .type = weight.dtype(),
                    .c = y.raw(),
                    .c_type = y.dtype(),
                    .ldc = weight.size(0),
                    .bias = bias ? bias.data<float>() : nullptr,
                    .activation = activation});
  return y;
}

}  // namespace qkv
