#include "qkv/ops/embedding.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

#include <vector>

namespace qkv {
namespace {

void check_ids(const Tensor& ids, int64_t limit) {
  const int32_t* values = ids.data<int32_t>();
  for (int64_t i = 0; i < ids.numel(); ++i)
    if (values[i] < 0 || values[i] >= limit)
      throw Error("embedding", fmt::format("id {} at place {} is outside the table of {} rows", values[i], i, limit),
                  "check that the tokenizer belongs to the model, and that the text is not longer than its positions");
}

// The ids with `padding` made negative, which a scatter skips.
Tensor without(const Tensor& ids, int32_t padding) {
  std::vector<int32_t> kept = ids.to_vector<int32_t>();
  for (int32_t& id : kept)
    if (id == padding) id = -1;
  return Tensor::from(ids.shape(), kept);
}

}  // namespace

Tensor embedding(const Tensor& ids, const Tensor& input_table, DType dtype, int64_t padding_id) {
  check(ids && ids.dtype() == DType::i32 && ids.contiguous(), "embedding", "expected dense i32 ids");
  if (!input_table || !input_table.packed()) check_weight_type(input_table, "embedding");
  check(input_table.rank() == 2, "embedding", "expected a table [N, D], got {}", input_table.shape());
  check_ids(ids, input_table.size(0));
  const Tensor table = input_table.packed() ? input_table : contiguous(input_table);
  std::vector<int64_t> sizes(ids.shape().begin(), ids.shape().end());
  sizes.push_back(table.size(1));
  Tensor y = Tensor::empty(Shape(sizes), dtype, table.device());
  kernels_of(table).gather({.rows = ids.numel(),
                            .width = table.size(1),
                            .ids = ids.on(table.device()).data<int32_t>(),
                            .table = table.raw(),
                            .table_type = table.dtype(),
                            .out = y.raw(),
                            .out_type = dtype,
                            .packed = table.packed()});
  if (wants_grad(table))
    record({&y}, {&table}, [ids, table, padding_id](std::span<const Tensor> grads) {
      const Tensor dy = contiguous(grads[0]);
      const Tensor places = (padding_id < 0 ? ids : without(ids, static_cast<int32_t>(padding_id))).on(table.device());
      // Only f32 can be scattered into; a table that is itself a bf16 result gets a converted copy.
      const bool direct = is_parameter(table) || table.dtype() == DType::f32;
      const GradSlot slot =
          direct ? grad_slot(table) : GradSlot{Tensor::empty(table.shape(), DType::f32, table.device()), false};
      const kernels::KernelSet& kernel = kernels_of(table);
      if (!slot.accumulate) kernel.fill(slot.buffer.raw(), DType::f32, slot.buffer.numel(), 0);
      kernel.scatter_add({.rows = ids.numel(),
                          .width = table.size(1),
                          .table_rows = table.size(0),
                          .ids = places.data<int32_t>(),
                          .x = dy.raw(),
                          .type = dy.dtype(),
                          .out = slot.buffer.data<float>()});
      if (!direct) accumulate_grad(table, slot.buffer);
    });
  return y;
}

}  // namespace qkv
