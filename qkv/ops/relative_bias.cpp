#include "qkv/ops/relative_bias.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

constexpr std::string_view relative_bias_op = "relative_bias";

// Rows of x [B, T, H, K] must lie equally far apart for the products to take them at once.
Tensor even_rows(const Tensor& x) {
  const bool even = (x.size(0) == 1 || x.stride(0) == x.size(1) * x.stride(1)) && (x.size(3) == 1 || x.stride(3) == 1);
  return even ? x : contiguous(x);
}

void* head(const Tensor& x, int dim, int64_t h) { return x.narrow(dim, h, 1).raw(); }

void check_term(const RelativeTerm& term, const Shape& bias) {
  check_compute_type(term.x, relative_bias_op);
  check(term.x.rank() == 4 && term.table.rank() == 3 && term.table.dtype() == term.x.dtype() &&
            term.table.size(1) == term.x.size(2) && term.table.size(2) == term.x.size(3),
        relative_bias_op, "expected x [B,T,H,K] and a table [P,H,K] of one dtype, got {} and {}", term.x.shape(),
        term.table.shape());
  const Shape expected{bias[0], term.by_key ? bias[3] : bias[2], bias[1]};
  for (int i = 0; i < 3; ++i)
    check(term.x.size(i) == expected[i], relative_bias_op, "x {} does not fit a bias {}", term.x.shape(), bias);
  const Tensor& places = term.places;
  check(places && places.dtype() == DType::i32 && places.contiguous() && places.rank() == 3 &&
            (places.size(0) == 1 || places.size(0) == bias[0]) && places.size(1) == bias[2] &&
            places.size(2) == bias[3],
        relative_bias_op, "expected i32 places [1 or B, T, S]");
  const int32_t* values = places.data<int32_t>();
  for (int64_t i = 0; i < places.numel(); ++i)
    check(values[i] < term.table.size(0), relative_bias_op, "place {} is outside the table of {} rows", values[i],
          term.table.size(0));
}

kernels::RelativeBias arguments(const RelativeTerm& term, const Shape& bias, float scale) {
  return {.batch = bias[0],
          .queries = bias[2],
          .keys = bias[3],
          .heads = bias[1],
          .positions = term.table.size(0),
          .by_key = term.by_key,
          .places = term.places.on(term.x.device()).data<int32_t>(),
          .places_batch_stride = term.places.size(0) == 1 ? 0 : bias[2] * bias[3],
          .scale = scale};
}

Shape shape_of_scores(const RelativeTerm& term) {
  return {term.x.size(0), term.x.size(1), term.x.size(2), term.table.size(0)};
}

// Every x against every row of the table, f32 [B, T, H, P]: one product a head.
Tensor scores_of(const RelativeTerm& term) {
  const Tensor& x = term.x;
  const int64_t positions = term.table.size(0);
  const Tensor scores = Tensor::empty(shape_of_scores(term), DType::f32, x.device());
  for (int64_t h = 0; h < x.size(2); ++h)
    kernels_of(x, term.table)
        .gemm({.m = x.size(0) * x.size(1),
               .n = positions,
               .k = x.size(3),
               .a = head(x, 2, h),
               .a_type = x.dtype(),
               .lda = x.stride(1),
               .b = head(term.table, 1, h),
               .b_type = x.dtype(),
               .ldb = term.table.stride(0),
               .b_transposed = true,
               .c = head(scores, 2, h),
               .ldc = x.size(2) * positions});
  return scores;
}

// Hands the gradient of the scores on to x and the table.
void scores_backward(const RelativeTerm& term, const Tensor& dscores, bool x_wanted, bool table_wanted) {
  const Tensor& x = term.x;
  const int64_t rows = x.size(0) * x.size(1);
  const int64_t positions = term.table.size(0);
  if (x_wanted) {
    const GradSlot slot = grad_slot(x);
    const bool direct = slot.buffer.size(0) == 1 || slot.buffer.stride(0) == x.size(1) * slot.buffer.stride(1);
    const Tensor dx = direct ? slot.buffer : Tensor::empty(x.shape(), x.dtype(), x.device());
    for (int64_t h = 0; h < x.size(2); ++h)
      kernels_of(x).gemm({.m = rows,
                          .n = x.size(3),
                          .k = positions,
                          .a = head(dscores, 2, h),
                          .lda = x.size(2) * positions,
                          .b = head(term.table, 1, h),
                          .b_type = x.dtype(),
                          .ldb = term.table.stride(0),
                          .c = head(dx, 2, h),
                          .c_type = dx.dtype(),
                          .ldc = dx.stride(1),
                          .accumulate = direct && slot.accumulate});
    if (!direct) accumulate_grad(x, dx);
  }
  if (table_wanted) {
    const Tensor dtable = Tensor::empty(term.table.shape(), DType::f32, x.device());
    for (int64_t h = 0; h < x.size(2); ++h)
      kernels_of(x).gemm({.m = positions,
                          .n = x.size(3),
                          .k = rows,
                          .a = head(dscores, 2, h),
                          .lda = x.size(2) * positions,
                          .a_transposed = true,
                          .b = head(x, 2, h),
                          .b_type = x.dtype(),
                          .ldb = x.stride(1),
                          .c = head(dtable, 1, h),
                          .ldc = dtable.stride(0)});
    accumulate_grad(term.table, dtable);
  }
}

}  // namespace

Tensor relative_bias(const std::vector<RelativeTerm>& given, float scale) {
  check(!given.empty(), relative_bias_op, "no terms");
  std::vector<RelativeTerm> terms = given;
  const Tensor& places = given[0].places;
  const Shape shape{given[0].x.size(0), given[0].x.size(2), places.size(1), places.size(2)};
  Tensor bias = Tensor::empty(shape, DType::f32, given[0].x.device());
  bool wanted = false;
  for (size_t i = 0; i < terms.size(); ++i) {
    RelativeTerm& term = terms[i];
    check_term(term, shape);
    term.x = even_rows(term.x);
    term.table = contiguous(term.table);
    wanted = wanted || wants_grad({&term.x, &term.table});
    kernels::RelativeBias a = arguments(term, shape, scale);
    const Tensor scores = scores_of(term);
    a.scores = scores.data<float>();
    a.bias = bias.data<float>();
    a.accumulate = i > 0;
    kernels_of(bias).relative_bias(a);
  }
  if (!wanted) return bias;
  std::vector<std::pair<bool, bool>> wants;  // of each term's x and table
  for (const RelativeTerm& term : terms) wants.emplace_back(wants_grad(term.x), wants_grad(term.table));
  const auto node = record({&bias}, {}, [terms, wants, shape, scale](std::span<const Tensor> grads) {
    const Tensor dbias = contiguous(grads[0]);
    for (size_t i = 0; i < terms.size(); ++i) {
      const RelativeTerm& term = terms[i];
      const Tensor dscores = Tensor::empty(shape_of_scores(term), DType::f32, dbias.device());
      kernels_of(dbias).relative_bias_backward(
          {.forward = arguments(term, shape, scale), .dbias = dbias.data<float>(), .dscores = dscores.data<float>()});
      scores_backward(term, dscores, wants[i].first, wants[i].second);
    }
  });
  for (const RelativeTerm& term : terms)
    for (const Tensor* input : {&term.x, &term.table})
      if (wants_grad(*input) && input->grad_meta()->node) node->parents.push_back(input->grad_meta()->node);
  return bias;
}

}  // namespace qkv
