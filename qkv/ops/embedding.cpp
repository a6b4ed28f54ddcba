#include "qkv/ops/embedding.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

#include <vector>

namespace qkv {
namespace {

// The table has `rows`, of which id 0 has row `first`.
void check_ids(const Tensor& ids, int64_t rows, int64_t first) {
  const int32_t* values = ids.data<int32_t>();
  for (int64_t i = 0; i < ids.numel(); ++i)
    if (values[i] < -first || values[i] >= rows - first)
      throw Error("embedding",
                  fmt::format("id {} at place {} is outside the table of {} rows", values[i] + first, i, rows),
                  "check that the tokenizer belongs to the model, and that the text is not longer than its positions");
}

}  // namespace

Tensor embedding(const Tensor& ids, const Tensor& input_table, DType dtype, int64_t padding_id, int64_t first) {
  check(ids && ids.dtype() == DType::i32 && ids.contiguous(), "embedding", "expected dense i32 ids");
  if (!input_table || !input_table.packed()) check_weight_type(input_table, "embedding");
  check(input_table.rank() == 2, "embedding", "expected a table [N, D], got {}", input_table.shape());
  check(first == 0 || (first > 0 && first <= input_table.size(0) && !input_table.packed()), "embedding",
        "a table of {} rows cannot be read from row {}", input_table.size(0), first);
  check_ids(ids, input_table.size(0), first);
  const Tensor table = input_table.packed() ? input_table : contiguous(input_table);
  std::vector<int64_t> sizes(ids.shape().begin(), ids.shape().end());
  sizes.push_back(table.size(1));
  Tensor y = Tensor::empty(Shape(sizes), dtype, table.device());
  kernels_of(table).gather(
      {.rows = ids.numel(),
       .width = table.size(1),
       .ids = ids.on(table.device()).data<int32_t>(),
       .table = static_cast<const char*>(table.raw()) + bytes_of(table.dtype(), first * table.size(1)),
       .table_type = table.dtype(),
       .out = y.raw(),
       .out_type = dtype,
       .packed = table.packed()});
  if (wants_grad(table))
    record({&y}, {&table}, [ids, table, padding_id, first](std::span<const Tensor> grads) {
      const Tensor dy = contiguous(grads[0]);
      // Only f32 can be scattered into; a table that is itself a bf16 result gets a converted copy.
      const bool direct = is_parameter(table) || table.dtype() == DType::f32;
      const GradSlot slot =
          direct ? grad_slot(table) : GradSlot{Tensor::empty(table.shape(), DType::f32, table.device()), false};
      const kernels::KernelSet& kernel = kernels_of(table);
      if (!slot.accumulate) kernel.fill(slot.buffer.raw(), DType::f32, slot.buffer.numel(), 0);
      constexpr int32_t none = kernels::ScatterAdd().padding;
      kernel.scatter_add({.rows = ids.numel(),
                          .width = table.size(1),
                          .table_rows = table.size(0),
                          .ids = ids.on(table.device()).data<int32_t>(),
                          .x = dy.raw(),
                          .type = dy.dtype(),
                          .out = slot.buffer.data<float>() + first * table.size(1),
                          .padding = padding_id < 0 ? none : static_cast<int32_t>(padding_id)});
      if (!direct) accumulate_grad(table, slot.buffer);
    });
  return y;
}

}  // namespace qkv
