#include "qkv/ops/packed.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {

namespace {

void check_packing(const Tensor& weight, DType type) {
  check(weight && weight.rank() == 2 && weight.contiguous() && !weight.packed(), "packed",
        "expected a dense matrix, got {}", weight ? weight.shape() : Shape());
  if (!is_block(type)) check_compute_type(weight, "packed");
}

bool pack(const Tensor& weight, float outlier, bool plain, const Tensor& packed) {
  return kernels_of(weight).pack({.type = packed.dtype(),
                                  .n = weight.size(0),
                                  .k = weight.size(1),
                                  .rows = weight.raw(),
                                  .rows_type = weight.dtype(),
                                  .outlier = outlier,
                                  .plain = plain,
                                  .packed = packed.raw()});
}

Tensor packed_alone(const Tensor& weight, DType type, float outlier) {
  return packed_in(Storage::allocate(packed_bytes(weight, type), weight.device()), 0, weight, type, outlier);
}

}  // namespace

size_t packed_bytes(const Tensor& weight, DType type) {
  check_packing(weight, type);
  const auto bytes = static_cast<size_t>(kernels_of(weight).packed_bytes(type, weight.size(0), weight.size(1), false));
  return (bytes + 63) / 64 * 64;
}

Tensor packed_in(const std::shared_ptr<Storage>& memory, size_t offset, const Tensor& weight, DType type,
                 float outlier) {
  check(offset + packed_bytes(weight, type) <= memory->bytes(), "packed", "no room at byte {} of {}", offset,
        memory->bytes());
  const Tensor compact = Tensor::wrap_packed(memory, offset, weight.shape(), type);
  if (pack(weight, outlier, false, compact)) return compact;
  const auto bytes = kernels_of(weight).packed_bytes(type, weight.size(0), weight.size(1), true);
  const Tensor plain =
      Tensor::wrap_packed(Storage::allocate(static_cast<size_t>(bytes), weight.device()), 0, weight.shape(), type);
  pack(weight, outlier, true, plain);
  return plain;
}

Tensor packed(const Tensor& weight) { return packed_alone(weight, weight.dtype(), 0); }

Tensor packed_int8(const Tensor& weight, float outlier) { return packed_alone(weight, DType::i8, outlier); }

Tensor packed_in_place(const Tensor& weight) {
  check_packing(weight, weight.dtype());
  check(is_block(weight.dtype()), "packed_in_place", "expected blocks, got {}", name_of(weight.dtype()));
  return weight.rounding_inputs();
}

Tensor packed_linear(const Tensor& input, const Tensor& weight, const Tensor& bias, Activation activation) {
  check_compute_type(input, "packed_linear");
  check(weight.packed() || weight.rounds_inputs(), "packed_linear", "the weight is not packed");
  check(input.rank() >= 1 && input.size(-1) == weight.size(1), "packed_linear",
        "expected x[..., K] and W[N, K], got x {} and W {}", input.shape(), weight.shape());
  check(!bias || (bias.shape() == Shape{weight.size(0)} && bias.dtype() == DType::f32), "packed_linear",
        "expected an f32 bias [{}], got {}", weight.size(0), bias ? bias.shape() : Shape());
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
                    .in_blocks = !weight.packed(),
                    .c = y.raw(),
                    .c_type = y.dtype(),
                    .ldc = weight.size(0),
                    .bias = bias ? bias.data<float>() : nullptr,
                    .activation = activation});
  return y;
}

}  // namespace qkv
