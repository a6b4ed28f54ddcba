#include "qkv/ops/cross_entropy.h"

#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/packed.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

// Logits of one chunk stay below this, whatever the batch.
constexpr int64_t chunk_bytes = int64_t{128} << 20;

// From one row of logits to the next. They begin on cache lines, whatever the vocabulary, which the products like; the
// host's in bf16 repack their input and are slower so.
int64_t logits_stride(int64_t vocab, DType type, Device device) {
  const int64_t line = device != Device() ? 64 : type == DType::f32 ? 16 : 1;
  return (vocab + line - 1) / line * line;
}

// Rows a chunk: as few chunks as fit, all of about the same size.
int64_t chunk_rows(int64_t rows, int64_t row_bytes) {
  const int64_t most = std::max<int64_t>(1, chunk_bytes / std::max<int64_t>(1, row_bytes));
  const int64_t chunks = std::max<int64_t>(1, (rows + most - 1) / most);
  return std::max<int64_t>(1, (rows + chunks - 1) / chunks);
}

void check_targets(const Tensor& targets, int64_t rows, int64_t vocab, std::string_view op) {
  check(targets && targets.dtype() == DType::i32 && targets.numel() == rows && targets.contiguous(), op,
        "expected {} i32 targets", rows);
  const int32_t* values = targets.data<int32_t>();
  for (int64_t i = 0; i < rows; ++i)
    if (values[i] >= vocab || (values[i] < 0 && values[i] != ignored_target))
      throw Error(op, fmt::format("label {} at place {} is outside the {} classes", values[i], i, vocab),
                  fmt::format("labels run from 0 to {}; {} marks a place to ignore", vocab - 1, ignored_target));
}

// scale * the sum of per-row losses: on the host added in order in double, on a device by its kernels, for which nobody
// waits here.
Tensor total_loss(const Tensor& losses, float scale) {
  Tensor result = Tensor::empty({}, DType::f32, losses.device());
  if (losses.device() != Device()) {
    const kernels::KernelSet& kernel = kernels_of(losses);
    kernel.sum_rows({.rows = losses.numel(), .width = 1, .x = losses.raw(), .out = result.data<float>()});
    kernel.scale({.count = 1, .x = result.raw(), .y = result.raw(), .alpha = scale});
    return result;
  }
  const float* values = losses.data<float>();
  double total = 0;
  for (int64_t i = 0; i < losses.numel(); ++i) total += values[i];
  *result.data<float>() = static_cast<float>(total * scale);
  return result;
}

// x times the value of an f32 scalar; x itself when that is 1, as it is at the root of the tape.
Tensor times(const Tensor& x, const Tensor& factor) {
  const float value = scalar_gradient(factor);
  if (value == 1) return x;
  kernels_of(x).scale({.count = x.numel(), .type = x.dtype(), .x = x.raw(), .y = x.raw(), .alpha = value});
  return x;
}

// With a head for inference there is no gradient, and each chunk of rows stands alone.
Tensor packed_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                            float scale, float label_smoothing) {
  Tensor total = Tensor::from<float>({}, {0}, x.device());
  const int64_t chunk = chunk_rows(x.size(0), weight.size(0) * size_of(x.dtype()));
  for (int64_t begin = 0; begin < x.size(0); begin += chunk) {
    const int64_t count = std::min(chunk, x.size(0) - begin);
    const Tensor logits = packed_linear(x.narrow(0, begin, count), weight, bias, Activation::none);
    total = add(total, cross_entropy(logits, targets.narrow(0, begin, count), scale, label_smoothing));
  }
  return total;
}

}  // namespace

int64_t count_targets(const Tensor& targets) {
  int64_t count = 0;
  for (int64_t i = 0; i < targets.numel(); ++i) count += targets.data<int32_t>()[i] >= 0 ? 1 : 0;
  return count;
}

Tensor cross_entropy(const Tensor& logits_in, const Tensor& targets, float scale, float label_smoothing) {
  check_compute_type(logits_in, "cross_entropy");
  check(logits_in.rank() == 2, "cross_entropy", "expected logits [N, V], got {}", logits_in.shape());
  const Tensor logits = contiguous(logits_in);
  const int64_t rows = logits.size(0);
  const int64_t vocab = logits.size(1);
  check_targets(targets, rows, vocab, "cross_entropy");
  const Tensor losses = Tensor::empty({rows}, DType::f32, logits.device());
  const bool recorded = wants_grad(logits);
  const Tensor dlogits = recorded ? Tensor::empty(logits.shape(), logits.dtype(), logits.device()) : Tensor();
  kernels_of(logits).cross_entropy({.rows = rows,
                                    .vocab = vocab,
                                    .type = logits.dtype(),
                                    .logits = logits.raw(),
                                    .ld = vocab,
                                    .targets = targets.on(logits.device()).data<int32_t>(),
                                    .smoothing = label_smoothing,
                                    .scale = scale,
                                    .loss = losses.data<float>(),
                                    .dlogits = recorded ? dlogits.raw() : nullptr});
  Tensor loss = total_loss(losses, scale);
  if (recorded)
    record({&loss}, {&logits},
           [logits, dlogits](std::span<const Tensor> grads) { accumulate_grad(logits, times(dlogits, grads[0])); });
  return loss;
}

Tensor linear_cross_entropy(const Tensor& x_in, const Tensor& weight, const Tensor& bias, const Tensor& targets,
                            float scale, float label_smoothing) {
  constexpr std::string_view op = "linear_cross_entropy";
  if (weight.packed()) return packed_cross_entropy(x_in, weight, bias, targets, scale, label_smoothing);
  check_compute_type(x_in, op);
  check_weight_type(weight, op);
  check(x_in.rank() == 2 && weight.rank() == 2 && x_in.size(1) == weight.size(1), op,
        "expected x [N, D] and W [V, D], got {} and {}", x_in.shape(), weight.shape());
  const Tensor x = contiguous(x_in);
  const int64_t rows = x.size(0);
  const int64_t width = x.size(1);
  const int64_t vocab = weight.size(0);
  check_targets(targets, rows, vocab, op);
  const Tensor used = x.dtype() == DType::f32 ? weight.detach() : half_of(weight, x.dtype());
  const bool dx_wanted = wants_grad(x);
  const bool dw_wanted = wants_grad(weight);
  const bool db_wanted = wants_grad(bias);
  const bool recorded = dx_wanted || dw_wanted || db_wanted;
  const kernels::KernelSet& kernel = kernels_of(x, weight, bias);
  const int64_t ld = logits_stride(vocab, x.dtype(), x.device());
  const int64_t chunk = chunk_rows(rows, ld * size_of(x.dtype()));
  const Tensor logits = Tensor::empty({chunk, ld}, x.dtype(), x.device());
  const Tensor losses = Tensor::empty({rows}, DType::f32, x.device());
  // With no rows no chunk writes the parameters' gradients.
  const auto fresh = [&](const Shape& shape) {
    return rows > 0 ? Tensor::empty(shape, DType::f32, x.device()) : Tensor::zeros(shape, DType::f32, x.device());
  };
  const Tensor dx = dx_wanted ? Tensor::empty(x.shape(), x.dtype(), x.device()) : Tensor();
  const Tensor dw = dw_wanted ? fresh(weight.shape()) : Tensor();
  const Tensor db = db_wanted ? fresh({vocab}) : Tensor();
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t count = std::min(chunk, rows - begin);
    const Tensor part = x.narrow(0, begin, count);
    kernel.gemm({.m = count,
                 .n = vocab,
                 .k = width,
                 .a = part.raw(),
                 .a_type = x.dtype(),
                 .lda = width,
                 .b = used.raw(),
                 .b_type = used.dtype(),
                 .ldb = width,
                 .b_transposed = true,
                 .c = logits.raw(),
                 .c_type = logits.dtype(),
                 .ldc = ld,
                 .bias = bias ? bias.data<float>() : nullptr});
    kernel.cross_entropy({.rows = count,
                          .vocab = vocab,
                          .type = logits.dtype(),
                          .logits = logits.raw(),
                          .ld = ld,
                          .targets = targets.on(x.device()).data<int32_t>() + begin,
                          .smoothing = label_smoothing,
                          .scale = scale,
                          .loss = losses.data<float>() + begin,
                          .dlogits = recorded ? logits.raw() : nullptr});
    if (dx_wanted)
      kernel.gemm({.m = count,
                   .n = width,
                   .k = vocab,
                   .a = logits.raw(),
                   .a_type = logits.dtype(),
                   .lda = ld,
                   .b = used.raw(),
                   .b_type = used.dtype(),
                   .ldb = width,
                   .c = dx.narrow(0, begin, count).raw(),
                   .c_type = dx.dtype(),
                   .ldc = width});
    if (dw_wanted)
      kernel.gemm({.m = vocab,
                   .n = width,
                   .k = count,
                   .a = logits.raw(),
                   .a_type = logits.dtype(),
                   .lda = ld,
                   .a_transposed = true,
                   .b = part.raw(),
                   .b_type = x.dtype(),
                   .ldb = width,
                   .c = dw.raw(),
                   .c_type = DType::f32,
                   .ldc = width,
                   .accumulate = begin > 0});
    if (db_wanted)
      kernel.sum_rows({.rows = count,
                       .width = vocab,
                       .ld = ld,
                       .x = logits.raw(),
                       .type = logits.dtype(),
                       .out = db.data<float>(),
                       .accumulate = begin > 0});
  }
  Tensor loss = total_loss(losses, scale);
  if (recorded)
    record({&loss}, {&x, &weight, &bias}, [x, weight, bias, dx, dw, db](std::span<const Tensor> grads) {
      if (dx) accumulate_grad(x, times(dx, grads[0]));
      if (dw) accumulate_grad(weight, times(dw, grads[0]));
      if (db) accumulate_grad(bias, times(db, grads[0]));
    });
  return loss;
}

}  // namespace qkv
