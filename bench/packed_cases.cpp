// Products with packed weights: every block type, rows of integers, and floating-point numbers.
#include "bench/case_values.h"

#include "qkv/core/error.h"
#include "qkv/kernels/blocks.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>

namespace qkv {
namespace {

using namespace kernels;

constexpr DType block_types[] = {DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0, DType::iq4_nl,
                                 DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k};

// Random blocks: all bits are random but those of the halves, which would else be infinite or not numbers.
Tensor random_blocks(DType type, int64_t n, int64_t k, uint64_t seed) {
  const Tensor w = Tensor::empty({n, k}, type);
  Random draw(RandomKey{seed, 79});
  uint8_t* bytes = static_cast<uint8_t*>(w.raw());
  const int64_t size = block_bytes(type);
  const int64_t count = n * (k / block_length(type));
  const auto put = [&](int64_t block, int64_t at) {
    const f16 half(0.01F * static_cast<float>(2 * draw.uniform() - 1));
    std::memcpy(bytes + block * size + at, &half, sizeof half);
  };
  for (int64_t i = 0; i < count * size; ++i) bytes[i] = static_cast<uint8_t>(draw.below(256));
  for (int64_t b = 0; b < count; ++b) {
    const bool at_end = type == DType::q2_k || type == DType::q3_k || type == DType::q6_k;
    const bool two = type == DType::q4_1 || type == DType::q5_1 || type == DType::q4_k || type == DType::q5_k;
    if (!at_end) put(b, 0);
    if (two) put(b, 2);
    if (at_end) put(b, size - 2);
    if (type == DType::q2_k) put(b, size - 4);
  }
  return w;
}

struct PackedCase {
  int64_t m, n, k;
  DType x_type = DType::f32;  // and of what comes out
  bool bias = false;
  Activation activation = Activation::none;
  float outlier = 0;
  DType rows_type = DType::f32;  // of the weight before it is packed, where that is not in blocks
  bool large = false;
  bool in_blocks = false;  // the weight is not packed before
  bool plain = false;      // packed as numbers are that do not fit in fewer bits
};

Tensor packed_weight(const KernelSet& set, DType type, const PackedCase& c) {
  const Tensor w = is_block(type) ? random_blocks(type, c.n, c.k, 1) : random({c.n, c.k}, c.rows_type, 1);
  if (c.in_blocks) return w;
  for (const bool plain : {c.plain, true}) {
    const Tensor packed = Tensor::empty({set.packed_bytes(type, c.n, c.k, plain)}, DType::u8);
    if (set.pack({.type = type,
                  .n = c.n,
                  .k = c.k,
                  .rows = w.raw(),
                  .rows_type = w.dtype(),
                  .outlier = c.outlier,
                  .plain = plain,
                  .packed = packed.raw()}))
      return packed;
  }
  throw Error("cases", "numbers that no packing takes", "", Error::Kind::internal);
}

// Rows looked up in a packed weight [n, k].
void add_gather(std::vector<KernelCase>& cases, DType type, int64_t n, int64_t k, DType out_type) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n + 3; ++i) ids.push_back(static_cast<int32_t>(i * 7 % n));
  const Tensor places = Tensor::from({n + 3}, ids);
  cases.push_back({fmt::format("gather packed {} {}x{} {}", name_of(type), n, k, name_of(out_type)),
                   tolerance_of(out_type), 0, static_cast<double>((n + 3) * k * size_of(out_type)), false,
                   [=](const KernelSet& set) {
                     const Tensor table = packed_weight(set, type, {.m = 0, .n = n, .k = k});
                     const Tensor out = Tensor::empty({n + 3, k}, out_type);
                     set.gather({.rows = n + 3,
                                 .width = k,
                                 .ids = places.data<int32_t>(),
                                 .table = table.raw(),
                                 .table_type = type,
                                 .out = out.raw(),
                                 .out_type = out_type,
                                 .packed = true});
                     return std::vector<Tensor>{out};
                   }});
}

void add(std::vector<KernelCase>& cases, DType type, const PackedCase& c) {
  const Tensor x = random({c.m, c.k + 3}, c.x_type, 2), bias = random({c.n}, DType::f32, 3);
  const auto pack_for = [=](const KernelSet& set) { return packed_weight(set, type, c); };
  // Packing is no part of what is timed.
  const auto ready = std::make_shared<Tensor>();
  cases.push_back(
      {fmt::format("packed_gemm {} {}x{}x{} {}{}{}{}{}{}", name_of(type), c.m, c.n, c.k, name_of(c.x_type),
                   c.bias ? " bias" : "", c.activation == Activation::none ? "" : " act",
                   c.outlier > 0 ? " outliers" : "", c.in_blocks ? " in blocks" : "", c.plain ? " plain" : ""),
       tolerance_of(type == DType::bf16 || type == DType::f16 ? type : c.x_type),
       2.0 * static_cast<double>(c.m * c.n) * static_cast<double>(c.k),
       static_cast<double>(cpu().packed_bytes(type, c.n, c.k, c.plain)), c.large, [=](const KernelSet& set) {
         const Tensor packed = *ready && set.name == "cpu" ? *ready : pack_for(set);
         const Tensor y = Tensor::empty({c.m, c.n}, c.x_type);
         set.packed_gemm({.m = c.m,
                          .n = c.n,
                          .k = c.k,
                          .a = x.raw(),
                          .a_type = c.x_type,
                          .lda = c.k + 3,
                          .packed = packed.raw(),
                          .type = type,
                          .in_blocks = c.in_blocks,
                          .c = y.raw(),
                          .c_type = c.x_type,
                          .ldc = c.n,
                          .bias = c.bias ? bias.data<float>() : nullptr,
                          .activation = c.activation});
         return std::vector<Tensor>{y};
       }});
  if (c.large)
    cases.back().prepare = [=] {
      if (!*ready) *ready = pack_for(cpu());
    };
}

}  // namespace

void add_packed(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const DType type : block_types)
    for (const DType out_type : both) add_gather(cases, type, 37, 2 * block_length(type), out_type);
  for (const DType type : both)
    for (const int64_t k : {1, 70}) add_gather(cases, type, 37, k, DType::f32);
  for (const DType type : block_types) {
    const int64_t k = block_length(type);
    for (const PackedCase& c : {PackedCase{1, 1, k},
                                {2, 16, 2 * k},
                                {3, 33, k, both[1], true},
                                {4, 40, 3 * k},
                                {30, 50, 2 * k, DType::f32, true},
                                {5, 17, k, DType::f32, true, Activation::gelu},
                                {0, 4, k}}) {
      add(cases, type, c);
      PackedCase in_blocks = c;
      in_blocks.in_blocks = true;
      add(cases, type, in_blocks);
    }
  }
  // The types that most files have.
  for (const DType type : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
    add(cases, type, {.m = 1, .n = 4096, .k = 4096, .large = true});
    add(cases, type, {.m = 1, .n = 4096, .k = 4096, .large = true, .in_blocks = true});
    add(cases, type, {.m = 256, .n = 2048, .k = 2048, .large = true});
  }
  for (const PackedCase& c : {PackedCase{1, 1, 1},
                              {2, 16, 65},
                              {3, 33, 40, both[1], true},
                              {30, 50, 96, DType::f32, true},
                              {5, 17, 64, DType::f32, true, Activation::gelu},
                              {7, 20, 70, DType::f32, true, Activation::none, 0.9F}})
    add(cases, DType::i8, c);
  add(cases, DType::i8, {.m = 1, .n = 4096, .k = 4096, .large = true});
  add(cases, DType::i8, {.m = 128, .n = 3072, .k = 768, .large = true});
  add(cases, DType::i8, {.m = 1024, .n = 768, .k = 3072, .large = true});
  for (const DType type : both) {
    for (const DType x_type : both)
      for (const PackedCase& c : {PackedCase{1, 1, 1, x_type},
                                  {2, 16, 65, x_type},
                                  {3, 33, 40, x_type, true},
                                  {9, 70, 601, x_type, true, Activation::silu, 0, both[1]},
                                  {30, 50, 1100, x_type, true},
                                  {5, 17, 64, x_type, true, Activation::gelu, 0, x_type},
                                  {0, 4, 8, x_type},
                                  {3, 4, 0, x_type, true}}) {
        add(cases, type, c);
        if (type != DType::bf16) continue;  // which alone is else packed in fewer bits than it has
        PackedCase plain = c;
        plain.plain = true;
        add(cases, type, plain);
      }
    add(cases, type, {.m = 1, .n = 4096, .k = 4096, .x_type = type, .large = true});
    add(cases, type, {.m = 8, .n = 768, .k = 3072, .x_type = type, .bias = true, .large = true});
    add(cases, type, {.m = 128, .n = 768, .k = 768, .x_type = type, .bias = true, .large = true});
    add(cases, type,
        {.m = 128, .n = 3072, .k = 768, .x_type = type, .bias = true, .activation = Activation::gelu, .large = true});
    add(cases, type, {.m = 512, .n = 768, .k = 3072, .x_type = type, .bias = true, .large = true});
  }
}

}  // namespace qkv
