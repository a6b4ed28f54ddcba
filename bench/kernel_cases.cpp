#include "bench/kernel_cases.h"

#include "bench/case_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace qkv {
namespace {

using namespace kernels;

void gemm_case(std::vector<KernelCase>& cases, int64_t m, int64_t n, int64_t k, DType type, DType out, bool ta, bool tb,
               bool bias, bool accumulate, Activation activation, int64_t extra = 0, bool large = false) {
  const int64_t lda = (ta ? m : k) + extra, ldb = (tb ? k : n) + extra, ldc = n + extra;
  const Tensor a = random({ta ? k : m, lda}, type, 1);
  const Tensor b = random({tb ? n : k, ldb}, type, 2);
  const Tensor c = random({m, ldc}, out, 3);
  const Tensor bias_values = random({n}, DType::f32, 4);
  KernelCase one{
      fmt::format("gemm {}x{}x{} {}->{} {}{}{}{}{}", m, n, k, name_of(type), name_of(out), ta ? 't' : 'n',
                  tb ? 't' : 'n', bias ? " bias" : "", accumulate ? " add" : "",
                  activation == Activation::none ? "" : " act"),
      std::max(tolerance_of(type) * (type == DType::bf16 && out == DType::f32 ? 0.01 : 1), tolerance_of(out)),
      2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k),
      bytes_of({a, b, c}),
      large,
      {}};
  one.run = [=](const KernelSet& set) {
    const Tensor y = copy_of(c);
    set.gemm({.m = m,
              .n = n,
              .k = k,
              .a = a.raw(),
              .a_type = type,
              .lda = lda,
              .a_transposed = ta,
              .b = b.raw(),
              .b_type = type,
              .ldb = ldb,
              .b_transposed = tb,
              .c = y.raw(),
              .c_type = out,
              .ldc = ldc,
              .accumulate = accumulate,
              .bias = bias ? bias_values.data<float>() : nullptr,
              .activation = activation});
    return std::vector<Tensor>{y};
  };
  cases.push_back(std::move(one));
}

void add_gemm(std::vector<KernelCase>& cases) {
  const int64_t sizes[][3] = {{1, 1, 1},   {1, 65, 33}, {3, 130, 17}, {5, 64, 128}, {8, 200, 40},
                              {33, 17, 5}, {64, 1, 7},  {0, 4, 4},    {4, 4, 0},    {70, 90, 110}};
  for (const auto& s : sizes)
    for (const DType type : both)
      for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
          gemm_case(cases, s[0], s[1], s[2], type, type, ta, tb, false, false, Activation::none);
          gemm_case(cases, s[0], s[1], s[2], type, DType::f32, ta, tb, false, true, Activation::none, 3);
        }
  for (const DType type : both)
    for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
                                        Activation::silu, Activation::tanh}) {
      gemm_case(cases, 37, 80, 64, type, type, false, true, true, false, activation);
      gemm_case(cases, 2, 80, 64, type, type, false, true, true, false, activation);
    }
  for (const DType type : both) {
    for (const int64_t rows : {1, 8})
      gemm_case(cases, rows, 3072, 768, type, type, false, true, true, false, Activation::none, 0, true);
    gemm_case(cases, 256, 768, 768, type, type, false, true, true, false, Activation::none, 0, true);
    gemm_case(cases, 1024, 3072, 768, type, type, false, true, true, false, Activation::none, 0, true);
    gemm_case(cases, 1024, 768, 3072, type, type, false, false, false, false, Activation::none, 0, true);
    gemm_case(cases, 3072, 768, 1024, type, DType::f32, true, false, false, false, Activation::none, 0, true);
    gemm_case(cases, 768, 128, 128, type, type, false, true, true, false, Activation::none, 0, true);
  }
  // Mixed operands: bf16 rows by an f32 matrix.
  const Tensor a = random({9, 40}, DType::bf16, 1), b = random({70, 40}, DType::f32, 2);
  for (const int64_t m : {2, 9})
    cases.push_back({fmt::format("gemm mixed {}", m), f32_tolerance, 0, 0, false, [=](const KernelSet& set) {
                       const Tensor y = Tensor::empty({m, 70});
                       set.gemm({.m = m,
                                 .n = 70,
                                 .k = 40,
                                 .a = a.raw(),
                                 .a_type = DType::bf16,
                                 .lda = 40,
                                 .b = b.raw(),
                                 .ldb = 40,
                                 .b_transposed = true,
                                 .c = y.raw(),
                                 .ldc = 70});
                       return std::vector<Tensor>{y};
                     }});
}

void add_rows(std::vector<KernelCase>& cases) {
  const int64_t sizes[][2] = {{1, 1}, {3, 7}, {65, 33}, {0, 8}, {1024, 768}};
  for (const auto& s : sizes)
    for (const DType type : both) {
      const int64_t rows = s[0], width = s[1];
      const bool large = rows * width > 100000;
      const std::string label = fmt::format("{}x{} {}", rows, width, name_of(type));
      const Tensor x = random({rows, width}, type, 1), residual = random({rows, width}, type, 2),
                   dy = random({rows, width}, type, 3);
      const Tensor weight = random({width}, DType::f32, 4), bias = random({width}, DType::f32, 5);
      for (const bool accumulate : {false, true})
        cases.push_back({fmt::format("sum_rows {}{}", label, accumulate ? " add" : ""), f32_tolerance, 0, bytes_of({x}),
                         large && !accumulate, [=](const KernelSet& set) {
                           const Tensor out = copy_of(weight);
                           set.sum_rows({.rows = rows,
                                         .width = width,
                                         .x = x.raw(),
                                         .type = type,
                                         .out = out.data<float>(),
                                         .accumulate = accumulate});
                           return std::vector<Tensor>{out};
                         }});
      const Tensor spaced = random({rows, width + 5}, type, 6);
      cases.push_back(
          {fmt::format("sum_rows {} strided", label), f32_tolerance, 0, 0, false, [=](const KernelSet& set) {
             const Tensor out = copy_of(weight);
             set.sum_rows({.rows = rows,
                           .width = width,
                           .ld = width + 5,
                           .x = spaced.raw(),
                           .type = type,
                           .out = out.data<float>()});
             return std::vector<Tensor>{out};
           }});
      for (const NormKind kind : {NormKind::layer, NormKind::rms})
        for (const bool fused : {false, true}) {
          const char* name = kind == NormKind::layer ? "layer_norm" : "rms_norm";
          cases.push_back({fmt::format("{} {}{}", name, label, fused ? " residual" : ""), tolerance_of(type), 0,
                           bytes_of({x, x}), large, [=](const KernelSet& set) {
                             const Tensor y = Tensor::empty(x.shape(), type), sum = Tensor::zeros(x.shape(), type);
                             const Tensor mean = Tensor::zeros({rows}), rstd = Tensor::zeros({rows});
                             set.norm({.kind = kind,
                                       .rows = rows,
                                       .width = width,
                                       .eps = 1e-3F,
                                       .type = type,
                                       .x = x.raw(),
                                       .residual = fused ? residual.raw() : nullptr,
                                       .sum = fused ? sum.raw() : nullptr,
                                       .weight = weight.data<float>(),
                                       .bias = kind == NormKind::layer ? bias.data<float>() : nullptr,
                                       .y = y.raw(),
                                       .mean = kind == NormKind::layer ? mean.data<float>() : nullptr,
                                       .rstd = rstd.data<float>()});
                             return std::vector<Tensor>{y, sum, mean, rstd};
                           }});
          cases.push_back({fmt::format("{}_backward {}{}", name, label, fused ? " dsum" : ""), tolerance_of(type) * 2,
                           0, bytes_of({x, x, x}), large, [=](const KernelSet& set) {
                             const Tensor y = Tensor::empty(x.shape(), type), mean = Tensor::zeros({rows}),
                                          rstd = Tensor::zeros({rows});
                             const Tensor ds = Tensor::empty(x.shape(), type), dweight = copy_of(weight),
                                          dbias = copy_of(bias);
                             reference().norm({.kind = kind,
                                               .rows = rows,
                                               .width = width,
                                               .eps = 1e-1F,
                                               .type = type,
                                               .x = x.raw(),
                                               .weight = weight.data<float>(),
                                               .y = y.raw(),
                                               .mean = mean.data<float>(),
                                               .rstd = rstd.data<float>()});
                             set.norm_backward({.kind = kind,
                                                .rows = rows,
                                                .width = width,
                                                .type = type,
                                                .s = x.raw(),
                                                .dy = dy.raw(),
                                                .dsum = fused ? residual.raw() : nullptr,
                                                .weight = weight.data<float>(),
                                                .mean = mean.data<float>(),
                                                .rstd = rstd.data<float>(),
                                                .ds = ds.raw(),
                                                .dweight = dweight.data<float>(),
                                                .dbias = kind == NormKind::layer ? dbias.data<float>() : nullptr,
                                                .accumulate = fused});
                             return std::vector<Tensor>{ds, dweight, dbias};
                           }});
        }
      for (const bool log : {false, true}) {
        cases.push_back({fmt::format("softmax {}{}", label, log ? " log" : ""), tolerance_of(type), 0, bytes_of({x, x}),
                         large, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty(x.shape(), type);
                           set.softmax(
                               {.rows = rows, .width = width, .type = type, .log = log, .x = x.raw(), .y = y.raw()});
                           return std::vector<Tensor>{y};
                         }});
        cases.push_back({fmt::format("softmax_backward {}{}", label, log ? " log" : ""), tolerance_of(type), 0,
                         bytes_of({x, x, x}), large, [=](const KernelSet& set) {
                           const Tensor dx = Tensor::empty(x.shape(), type);
                           set.softmax_backward({.rows = rows,
                                                 .width = width,
                                                 .type = type,
                                                 .log = log,
                                                 .y = x.raw(),
                                                 .dy = dy.raw(),
                                                 .dx = dx.raw()});
                           return std::vector<Tensor>{dx};
                         }});
      }
    }
}

void add_elementwise(std::vector<KernelCase>& cases) {
  for (const int64_t count : {int64_t{0}, int64_t{1}, int64_t{37}, int64_t{1 << 20}})
    for (const DType type : both) {
      const bool large = count > 100000;
      const std::string label = fmt::format("{} {}", count, name_of(type));
      const Tensor x = random({count}, type, 1, 6), dy = random({count}, type, 2);
      const double traffic = bytes_of({x, x});
      const auto add = [&](const std::string& name, double bytes,
                           std::function<void(const KernelSet&, const Tensor&)> call) {
        cases.push_back({name + " " + label, tolerance_of(type), 0, bytes, large, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty({count}, type);
                           call(set, y);
                           return std::vector<Tensor>{y};
                         }});
      };
      for (const Activation kind : {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
                                    Activation::gelu_quick, Activation::silu, Activation::tanh, Activation::sigmoid,
                                    Activation::relu_squared, Activation::softplus, Activation::laplace}) {
        add(fmt::format("activate {}", name_of(kind)), traffic, [=](const KernelSet& set, const Tensor& y) {
          set.activate({.kind = kind, .count = count, .type = type, .x = x.raw(), .y = y.raw()});
        });
        add(fmt::format("activate_backward {}", name_of(kind)), 1.5 * traffic,
            [=](const KernelSet& set, const Tensor& y) {
              set.activate_backward(
                  {.kind = kind, .count = count, .type = type, .x = x.raw(), .dy = dy.raw(), .dx = y.raw()});
            });
      }
      add("add", 1.5 * traffic, [=](const KernelSet& set, const Tensor& y) {
        set.binary({.op = BinaryOp::add,
                    .count = count,
                    .b_count = count,
                    .type = type,
                    .a = x.raw(),
                    .b = dy.raw(),
                    .y = y.raw(),
                    .alpha = 0.5F,
                    .beta = -2});
      });
      add("multiply", 1.5 * traffic, [=](const KernelSet& set, const Tensor& y) {
        set.binary({.op = BinaryOp::multiply,
                    .count = count,
                    .b_count = count,
                    .type = type,
                    .a = x.raw(),
                    .b = dy.raw(),
                    .y = y.raw()});
      });
      add("scale", traffic, [=](const KernelSet& set, const Tensor& y) {
        set.scale({.count = count, .type = type, .x = x.raw(), .y = y.raw(), .alpha = -3});
      });
      add("dropout", traffic, [=](const KernelSet& set, const Tensor& y) {
        set.dropout({.count = count, .type = type, .x = x.raw(), .y = y.raw(), .p = 0.3F, .key = 12345});
      });
      add("fill", traffic / 2, [=](const KernelSet& set, const Tensor& y) { set.fill(y.raw(), type, count, 1.5F); });
      cases.push_back({"sum_squares " + label, 1e-6, 0, traffic / 2, large, [=](const KernelSet& set) {
                         return std::vector<Tensor>{
                             Tensor::from<float>({1}, {static_cast<float>(set.sum_squares(x.raw(), type, count))})};
                       }});
    }
  const Tensor a = random({6, 35}, DType::f32, 1), b = random({35}, DType::f32, 2);
  cases.push_back({"add repeated", f32_tolerance, 0, 0, false, [=](const KernelSet& set) {
                     const Tensor y = copy_of(a);
                     set.binary(
                         {.op = BinaryOp::add, .count = 210, .b_count = 35, .a = y.raw(), .b = b.raw(), .y = y.raw()});
                     return std::vector<Tensor>{y};
                   }});
  for (const int64_t width : {int64_t{1}, int64_t{19}, int64_t{1024}})
    for (const DType type : both)
      for (const Activation kind : {Activation::silu, Activation::gelu_tanh}) {
        const int64_t rows = width == 1024 ? 512 : 5;
        const Tensor x = random({rows, 2 * width}, type, 1, 3), dy = random({rows, width}, type, 2);
        cases.push_back({fmt::format("gated {} {}x{} {}", name_of(kind), rows, width, name_of(type)),
                         tolerance_of(type), 0, bytes_of({x, dy}), width == 1024, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty({rows, width}, type), dx = Tensor::empty(x.shape(), type);
                           set.gated(
                               {.kind = kind, .rows = rows, .width = width, .type = type, .x = x.raw(), .y = y.raw()});
                           set.gated_backward({.kind = kind,
                                               .rows = rows,
                                               .width = width,
                                               .type = type,
                                               .x = x.raw(),
                                               .dy = dy.raw(),
                                               .dx = dx.raw()});
                           return std::vector<Tensor>{y, dx};
                         }});
      }
}

void add_tables(std::vector<KernelCase>& cases) {
  for (const DType table_type : both)
    for (const DType type : both)
      for (const int64_t width : {int64_t{1}, int64_t{50}, int64_t{768}}) {
        const int64_t rows = width == 768 ? 1024 : 11;
        const Tensor table = random({29, width}, table_type, 1), x = random({rows, width}, type, 2),
                     places = ids(rows, 29, 3);
        for (const bool accumulate : {false, true})
          cases.push_back({fmt::format("gather {}x{} {}->{}{}", rows, width, name_of(table_type), name_of(type),
                                       accumulate ? " add" : ""),
                           tolerance_of(type), 0, bytes_of({x, x}), width == 768 && !accumulate,
                           [=](const KernelSet& set) {
                             const Tensor y = copy_of(x);
                             set.gather({.rows = rows,
                                         .width = width,
                                         .ids = places.data<int32_t>(),
                                         .table = table.raw(),
                                         .table_type = table_type,
                                         .out = y.raw(),
                                         .out_type = type,
                                         .accumulate = accumulate});
                             return std::vector<Tensor>{y};
                           }});
        cases.push_back({fmt::format("scatter_add {}x{} {}", rows, width, name_of(type)), f32_tolerance, 0,
                         bytes_of({x, x}), width == 768 && table_type == type, [=](const KernelSet& set) {
                           const Tensor y = Tensor::zeros({29, width});
                           const Tensor some = copy_of(places);
                           some.data<int32_t>()[0] = -1;  // skipped
                           set.scatter_add({.rows = rows,
                                            .width = width,
                                            .table_rows = 29,
                                            .ids = some.data<int32_t>(),
                                            .x = x.raw(),
                                            .type = type,
                                            .out = y.data<float>()});
                           return std::vector<Tensor>{y};
                         }});
      }
  for (const DType type : both)
    for (const int64_t vocab : {int64_t{1}, int64_t{65}, int64_t{50257}})
      for (const float smoothing : {0.0F, 0.1F}) {
        const int64_t rows = vocab == 50257 ? 64 : 7;
        const Tensor logits = random({rows, vocab}, type, 1, 5), targets = ids(rows, vocab, 2);
        targets.data<int32_t>()[0] = -100;
        cases.push_back(
            {fmt::format("cross_entropy {}x{} {}{}", rows, vocab, name_of(type), smoothing > 0 ? " smoothed" : ""),
             tolerance_of(type), 0, bytes_of({logits, logits}), vocab == 50257, [=](const KernelSet& set) {
               const Tensor loss = Tensor::empty({rows}), d = copy_of(logits);
               set.cross_entropy({.rows = rows,
                                  .vocab = vocab,
                                  .type = type,
                                  .logits = d.raw(),
                                  .ld = vocab,
                                  .targets = targets.data<int32_t>(),
                                  .smoothing = smoothing,
                                  .scale = 0.25F,
                                  .loss = loss.data<float>(),
                                  .dlogits = d.raw()});
               return std::vector<Tensor>{loss, d};
             }});
      }
  const DType all[] = {DType::f32, DType::bf16, DType::f16};
  const Tensor source = random({5, 7, 9}, DType::f32, 1);
  for (const DType from : all)
    for (const DType to : all) {
      Tensor x = Tensor::empty(source.shape(), from);
      reference().copy({.rank = 1,
                        .size = {source.numel()},
                        .x = source.raw(),
                        .x_stride = {1},
                        .y = x.raw(),
                        .y_type = from,
                        .y_stride = {1}});
      for (const bool turned : {false, true})
        cases.push_back({fmt::format("copy {}->{}{}", name_of(from), name_of(to), turned ? " turned" : ""), 0, 0, 0,
                         false, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty(x.shape(), to);
                           Copy copy{.rank = 3,
                                     .size = {5, 7, 9},
                                     .x = x.raw(),
                                     .x_type = from,
                                     .x_stride = {63, 9, 1},
                                     .y = y.raw(),
                                     .y_type = to,
                                     .y_stride = {63, 9, 1}};
                           if (turned)
                             copy = {.rank = 2,
                                     .size = {63, 5},
                                     .x = x.raw(),
                                     .x_type = from,
                                     .x_stride = {1, 63},
                                     .y = y.raw(),
                                     .y_type = to,
                                     .y_stride = {5, 1}};
                           set.copy(copy);
                           return std::vector<Tensor>{y};
                         }});
    }
}

struct AttentionShape {
  int64_t batch, queries, keys, heads, kv_heads, head_dim;
  bool causal;
  int64_t window = 0;
  bool mask = false;
  bool bias = false;
  float dropout = 0;
  bool large = false;
  float softcap = 0;
  bool slopes = false;
  bool distances = false;  // the bias depends on the distance alone, as T5's does
  int64_t always = 0;
};

void attention_case(std::vector<KernelCase>& cases, const AttentionShape& s, DType type) {
  // Queries, keys and values lie side by side, as a fused projection leaves them.
  const int64_t row = (s.heads + 2 * s.kv_heads) * s.head_dim;
  const int64_t time = std::max(s.queries, s.keys);
  const Tensor packed = random({s.batch, time, row}, type, 1),
               dout = random({s.batch, s.queries, s.heads, s.head_dim}, type, 2);
  const Tensor bias = random({s.heads, s.queries, s.keys}, DType::f32, 3, 2), slopes = random({s.heads}, DType::f32, 4);
  std::vector<uint8_t> mask(static_cast<size_t>(s.batch * s.keys), 1);
  for (size_t i = 0; i < mask.size(); ++i)
    mask[i] = s.mask && (i % 3 == 1 || i < static_cast<size_t>(s.keys) / 2) ? 0 : 1;
  const Tensor key_mask = Tensor::from<uint8_t>({s.batch, s.keys}, mask);
  const double visible = s.causal && s.queries == s.keys ? 0.5 : 1;
  const double flops = 4.0 * visible * static_cast<double>(s.batch * s.heads * s.queries * s.keys * s.head_dim);
  const std::string label =
      fmt::format("b{} t{} s{} h{}/{} d{} {}{}{}{}{}{}{}{}{}", s.batch, s.queries, s.keys, s.heads, s.kv_heads,
                  s.head_dim, name_of(type), s.causal ? " causal" : "", s.window > 0 ? " window" : "",
                  s.mask ? " mask" : "", s.bias ? (s.distances ? " distances" : " bias") : "",
                  s.dropout > 0 ? " dropout" : "", s.softcap > 0 ? " softcap" : "", s.slopes ? " slopes" : "",
                  s.always > 0 ? fmt::format(" always {}", s.always) : "");
  const auto arguments = [=](const Tensor& out, const Tensor& lse) {
    const auto at = [&](int64_t head) {
      return ConstHeads{static_cast<const char*>(packed.raw()) + head * s.head_dim * size_of(type), time * row, row,
                        s.head_dim};
    };
    return Attention{.batch = s.batch,
                     .queries = s.queries,
                     .keys = s.keys,
                     .heads = s.heads,
                     .kv_heads = s.kv_heads,
                     .head_dim = s.head_dim,
                     .type = type,
                     .kv_type = type,
                     .q = at(0),
                     .k = at(s.heads),
                     .v = at(s.heads + s.kv_heads),
                     .out = {out.raw(), s.queries * s.heads * s.head_dim, s.heads * s.head_dim, s.head_dim},
                     .logsumexp = lse.data<float>(),
                     .scale = 0.7F,
                     .causal = s.causal,
                     .window = s.window,
                     .always = s.always,
                     .softcap = s.softcap,
                     .slopes = s.slopes ? slopes.data<float>() : nullptr,
                     .key_mask = s.mask ? key_mask.data<uint8_t>() : nullptr,
                     .bias = s.bias ? bias.data<float>() + (s.distances ? s.queries - 1 : 0) : nullptr,
                     .bias_head_stride = s.queries * s.keys,
                     .bias_query_stride = s.distances ? -1 : s.keys,
                     .bias_key_stride = 1,
                     .dropout = s.dropout,
                     .dropout_key = 99};
  };
  cases.push_back(
      {"attention " + label, tolerance_of(type), flops, 0, s.large, [=](const KernelSet& set) {
         const Tensor out = Tensor::empty(dout.shape(), type), lse = Tensor::empty({s.batch, s.heads, s.queries});
         set.attention(arguments(out, lse));
         return std::vector<Tensor>{out, lse};
       }});
  // The forward results come from the reference, so that only the backward pass is compared; large ones are timed on
  // what the set itself computes, once.
  const Tensor out = Tensor::empty(dout.shape(), type), lse = Tensor::empty({s.batch, s.heads, s.queries});
  (s.large ? cpu() : reference()).attention(arguments(out, lse));
  cases.push_back(
      {"attention_backward " + label, tolerance_of(type) * 2, 2.5 * flops, 0, s.large, [=](const KernelSet& set) {
         const Tensor dq = Tensor::empty(dout.shape(), type),
                      dk = Tensor::empty({s.batch, s.keys, s.kv_heads, s.head_dim}, type),
                      dv = Tensor::empty(dk.shape(), type);
         const Tensor dbias = Tensor::zeros(bias.shape());
         const int64_t q_row = s.heads * s.head_dim, k_row = s.kv_heads * s.head_dim;
         set.attention_backward({.forward = arguments(out, lse),
                                 .dout = {dout.raw(), s.queries * q_row, q_row, s.head_dim},
                                 .dq = {dq.raw(), s.queries * q_row, q_row, s.head_dim},
                                 .dk = {dk.raw(), s.keys * k_row, k_row, s.head_dim},
                                 .dv = {dv.raw(), s.keys * k_row, k_row, s.head_dim},
                                 .dbias = s.bias ? dbias.data<float>() + (s.distances ? s.queries - 1 : 0) : nullptr});
         return std::vector<Tensor>{dq, dk, dv, dbias};
       }});
}

// f32 numbers as a cache of the type keeps them.
Tensor kept_as(const Tensor& x, DType type) {
  const Tensor y = Tensor::empty(x.shape(), type);
  reference().copy(
      {.rank = 1, .size = {x.numel()}, .x = x.raw(), .x_stride = {1}, .y = y.raw(), .y_type = type, .y_stride = {1}});
  return y;
}

// Queries against keys and values of another type, which a cache keeps.
void cached_attention_case(std::vector<KernelCase>& cases, const AttentionShape& s, DType type, DType kv_type) {
  const Tensor q = random({s.batch, s.queries, s.heads, s.head_dim}, type, 1);
  const Shape kept{s.batch, s.keys, s.kv_heads, s.head_dim};
  const Tensor k = kept_as(random(kept, DType::f32, 2), kv_type), v = kept_as(random(kept, DType::f32, 3), kv_type);
  const int64_t q_row = s.heads * s.head_dim, k_row = s.kv_heads * s.head_dim;
  cases.push_back({fmt::format("attention cached b{} t{} s{} h{}/{} d{} {} {}{}", s.batch, s.queries, s.keys, s.heads,
                               s.kv_heads, s.head_dim, name_of(type), name_of(kv_type), s.window > 0 ? " window" : ""),
                   tolerance_of(type), 0,
                   static_cast<double>(bytes_of(kv_type, k.numel()) + bytes_of(kv_type, v.numel())), s.large,
                   [=](const KernelSet& set) {
                     const Tensor out = Tensor::empty(q.shape(), type);
                     set.attention({.batch = s.batch,
                                    .queries = s.queries,
                                    .keys = s.keys,
                                    .heads = s.heads,
                                    .kv_heads = s.kv_heads,
                                    .head_dim = s.head_dim,
                                    .type = type,
                                    .kv_type = kv_type,
                                    .q = {q.raw(), s.queries * q_row, q_row, s.head_dim},
                                    .k = {k.raw(), s.keys * k_row, k_row, s.head_dim},
                                    .v = {v.raw(), s.keys * k_row, k_row, s.head_dim},
                                    .out = {out.raw(), s.queries * q_row, q_row, s.head_dim},
                                    .scale = 0.3F,
                                    .causal = true,
                                    .window = s.window});
                     return std::vector<Tensor>{out};
                   }});
}

// Rows of [rows, 3, width] into blocks [rows, width]: bit for bit.
void quantizing_case(std::vector<KernelCase>& cases, int64_t rows, int64_t width, DType type, bool large) {
  Tensor x = random({rows, 3, width}, type, 1, 5);
  const Tensor whole = Tensor::empty({rows, width}, DType::q8_0);
  if (type == DType::f32) {
    std::fill_n(x.data<float>(), 32, 0.0F);
    x.data<float>()[3 * width] = INFINITY;
    x.data<float>()[3 * width + 40] = NAN;
    x.data<float>()[6 * width] = 1e-37F;
  }
  cases.push_back({fmt::format("copy to q8_0 {}x{} {}", rows, width, name_of(type)), 0, 0,
                   static_cast<double>(rows * width * size_of(type)), large, [=](const KernelSet& set) {
                     set.copy({.rank = 2,
                               .size = {rows, width},
                               .x = x.raw(),
                               .x_type = type,
                               .x_stride = {3 * width, 1},
                               .y = whole.raw(),
                               .y_type = DType::q8_0,
                               .y_stride = {width, 1}});
                     const Tensor bytes = Tensor::empty({bytes_of(DType::q8_0, rows * width)}, DType::u8);
                     std::memcpy(bytes.raw(), whole.raw(), static_cast<size_t>(bytes.numel()));
                     return std::vector<Tensor>{bytes};
                   }});
}

// Sequences of different lengths whose keys and values lie in pages: decoding, a few rows, chunks of prompts.
void paged_attention_case(std::vector<KernelCase>& cases, DType type, DType kv_type, int64_t page_size, bool special,
                          bool large) {
  struct Row {
    int64_t queries, keys;
  };
  const std::vector<Row> rows = large ? std::vector<Row>(16, {1, 1024})
                                      : std::vector<Row>{{1, 1}, {1, 77}, {3, 130}, {70, 70}, {20, 150}, {1, 64}};
  const int64_t heads = 4, kv_heads = 2, head_dim = large ? 64 : kv_type == DType::q8_0 ? 32 : 20;
  int64_t queries = 0, pages = 0;
  for (const Row& row : rows) {
    queries += row.queries;
    pages += (row.keys + page_size - 1) / page_size;
  }
  const Tensor q = random({queries, heads, head_dim}, type, 1);
  const Tensor keys = kept_as(random({pages, kv_heads, page_size, head_dim}, DType::f32, 2), kv_type);
  const Tensor values = kept_as(random({pages, kv_heads, page_size, head_dim}, DType::f32, 3), kv_type);
  const Tensor slopes = random({heads}, DType::f32, 4);
  // From the last page to the first: no two follow each other.
  std::vector<int32_t> order;
  for (int64_t page = 0; page < pages; ++page) order.push_back(static_cast<int32_t>(pages - 1 - page));
  const Tensor table = Tensor::from({pages}, order);
  const auto call = [=](const KernelSet& set) {
    const Tensor out = Tensor::empty(q.shape(), type);
    const auto row_of = [&](const Tensor& x, int64_t row) {
      return static_cast<char*>(x.raw()) + row * heads * head_dim * size_of(type);
    };
    const auto pool = [&](const Tensor& x) {
      return ConstHeads{x.raw(), kv_heads * page_size * head_dim, head_dim, page_size * head_dim};
    };
    std::vector<Attention> all;
    int64_t query = 0, page = 0;
    for (const Row& row : rows) {
      all.push_back({.batch = 1,
                     .queries = row.queries,
                     .keys = row.keys,
                     .heads = heads,
                     .kv_heads = kv_heads,
                     .head_dim = head_dim,
                     .type = type,
                     .kv_type = kv_type,
                     .q = {row_of(q, query), 0, heads * head_dim, head_dim},
                     .k = pool(keys),
                     .v = pool(values),
                     .out = {row_of(out, query), 0, heads * head_dim, head_dim},
                     .scale = 0.3F,
                     .causal = true,
                     .window = special ? 50 : 0,
                     .softcap = special ? 3.0F : 0.0F,
                     .slopes = special ? slopes.data<float>() : nullptr,
                     .pages = table.data<int32_t>() + page,
                     .page_size = page_size});
      query += row.queries;
      page += (row.keys + page_size - 1) / page_size;
    }
    set.attention_each(all);
    return std::vector<Tensor>{out};
  };
  cases.push_back({fmt::format("attention_each {} {} pages of {}{}", name_of(type), name_of(kv_type), page_size,
                               special ? " special" : ""),
                   tolerance_of(type), 0, 2 * static_cast<double>(bytes_of(kv_type, keys.numel())), large, call});
}

void add_relative_bias(std::vector<KernelCase>& cases) {
  struct Sizes {
    int64_t batch, queries, keys, heads, positions;
    bool large = false;
  };
  for (const Sizes& s : {Sizes{2, 5, 7, 3, 9}, Sizes{1, 1, 40, 2, 40}, Sizes{8, 128, 128, 12, 255, true}})
    for (const bool by_key : {false, true}) {
      const Tensor scores = random({s.batch, by_key ? s.keys : s.queries, s.heads, s.positions}, DType::f32, 1),
                   dbias = random({s.batch, s.heads, s.queries, s.keys}, DType::f32, 2);
      std::vector<int32_t> rows;
      for (int64_t i = 0; i < s.batch * s.queries * s.keys; ++i)
        rows.push_back(static_cast<int32_t>(i * 7 % (s.positions + 1)) - 1);
      const Tensor places = Tensor::from<int32_t>({s.batch, s.queries, s.keys}, rows);
      const RelativeBias a{.batch = s.batch,
                           .queries = s.queries,
                           .keys = s.keys,
                           .heads = s.heads,
                           .positions = s.positions,
                           .scores = scores.data<float>(),
                           .by_key = by_key,
                           .places = places.data<int32_t>(),
                           .places_batch_stride = by_key ? 0 : s.queries * s.keys,
                           .scale = 0.3F,
                           .accumulate = by_key};
      const std::string label = fmt::format("b{} t{} s{} h{} p{}{}", s.batch, s.queries, s.keys, s.heads, s.positions,
                                            by_key ? " by key" : "");
      // The table and the places stay with the closures that point into them.
      cases.push_back({"relative_bias " + label, f32_tolerance, 0, bytes_of({scores, dbias}), s.large,
                       [=, keep = std::vector<Tensor>{scores, places}](const KernelSet& set) {
                         RelativeBias forward = a;
                         const Tensor bias = copy_of(dbias);
                         forward.bias = bias.data<float>();
                         set.relative_bias(forward);
                         return std::vector<Tensor>{bias};
                       }});
      cases.push_back({"relative_bias_backward " + label, f32_tolerance, 0, bytes_of({scores, dbias}), s.large,
                       [=, keep = places](const KernelSet& set) {
                         const Tensor dscores = Tensor::empty(scores.shape());
                         set.relative_bias_backward(
                             {.forward = a, .dbias = dbias.data<float>(), .dscores = dscores.data<float>()});
                         return std::vector<Tensor>{dscores};
                       }});
    }
}

void add_attention(std::vector<KernelCase>& cases) {
  for (const DType type : both) {
    for (const int64_t head_dim : {1, 8, 20, 32, 64, 80, 128, 256})
      attention_case(cases, {2, 9, 9, 4, 2, head_dim, true}, type);
    for (const bool causal : {false, true}) {
      attention_case(cases, {1, 1, 1, 1, 1, 16, causal}, type);
      attention_case(cases, {2, 70, 70, 2, 2, 24, causal}, type);
      attention_case(cases, {1, 130, 130, 3, 1, 32, causal}, type);
      attention_case(cases, {2, 3, 77, 4, 2, 16, causal}, type);
      attention_case(cases, {1, 1, 200, 4, 4, 64, causal}, type);
      attention_case(cases, {1, 20, 150, 2, 1, 16, causal}, type);
      attention_case(cases, {1, 140, 140, 2, 2, 16, causal, 33}, type);
      attention_case(cases, {2, 66, 66, 2, 2, 16, causal, 0, true}, type);
      attention_case(cases, {2, 2, 66, 2, 2, 16, causal, 5, true, true}, type);
      attention_case(cases, {2, 66, 66, 2, 2, 16, causal, 0, false, true}, type);
      attention_case(cases, {1, 100, 100, 2, 1, 16, causal, 0, true, true, 0.2F}, type);
      attention_case(cases, {2, 70, 70, 2, 2, 16, causal, 0, true, true, 0, false, 0, false, true}, type);
      attention_case(cases, {1, 3, 70, 4, 2, 16, causal, 0, false, true, 0, false, 2, false, true}, type);
      attention_case(cases, {1, 100, 100, 4, 2, 16, causal, 0, false, false, 0, false, 2}, type);
      attention_case(cases, {1, 100, 100, 4, 2, 16, causal, 0, true, false, 0, false, 0, true}, type);
      attention_case(cases, {1, 2, 100, 4, 2, 16, causal, 20, false, false, 0, false, 2, true}, type);
    }
    for (const int64_t always : {3, 70})
      attention_case(cases,
                     {.batch = 2,
                      .queries = 150,
                      .keys = 150 + always,
                      .heads = 2,
                      .kv_heads = 2,
                      .head_dim = 16,
                      .causal = false,
                      .window = 9,
                      .mask = always == 3,
                      .always = always},
                     type);
    attention_case(cases, {0, 5, 5, 2, 2, 8, true}, type);
    for (const DType kv_type : {DType::f32, DType::bf16, DType::q8_0}) {
      for (const int64_t page_size : {5, 64, 100})
        for (const bool special : {false, true}) paged_attention_case(cases, type, kv_type, page_size, special, false);
      paged_attention_case(cases, type, kv_type, 64, false, true);
      cached_attention_case(cases, {1, 1, 200, 4, 4, 64, true}, type, kv_type);
      cached_attention_case(cases, {2, 3, 77, 8, 2, 32, true, 20}, type, kv_type);
      cached_attention_case(cases, {1, 70, 130, 2, 1, 96, true}, type, kv_type);
      for (const int64_t kv_heads : {4, 32})
        cached_attention_case(cases,
                              {.batch = 1,
                               .queries = 1,
                               .keys = 2048,
                               .heads = 32,
                               .kv_heads = kv_heads,
                               .head_dim = 64,
                               .causal = true,
                               .large = true},
                              type, kv_type);
    }
    quantizing_case(cases, 5, 64, type, false);
    quantizing_case(cases, 512, 2048, type, true);
    attention_case(cases, {12, 64, 64, 4, 4, 32, true, 0, false, false, 0, true}, type);
    attention_case(cases, {8, 256, 256, 6, 6, 64, true, 0, false, false, 0, true}, type);
    attention_case(cases, {1, 512, 512, 12, 12, 64, true, 0, false, false, 0, true}, type);
    attention_case(cases, {8, 128, 128, 12, 12, 64, false, 0, true, false, 0, true}, type);
    attention_case(cases, {1, 1, 1024, 12, 12, 64, true, 0, false, false, 0, true}, type);
    for (const bool interleaved : {false, true})
      for (const int64_t rotary_dim : {4, 10, 64}) {
        const int64_t head_dim = rotary_dim == 10 ? 16 : rotary_dim;
        const Tensor x = random({2, 5, 3, head_dim}, type, 1), cosine = random({40, rotary_dim / 2}, DType::f32, 2),
                     sine = random({40, rotary_dim / 2}, DType::f32, 3);
        const Tensor positions = ids(10, 40, 4);
        for (const bool inverse : {false, true})
          cases.push_back({fmt::format("rotary {}/{} {}{}{}", rotary_dim, head_dim, name_of(type),
                                       interleaved ? " interleaved" : "", inverse ? " inverse" : ""),
                           tolerance_of(type), 0, 0, false, [=](const KernelSet& set) {
                             const Tensor y = copy_of(x);  // in place
                             set.rotary({.batch = 2,
                                         .time = 5,
                                         .heads = 3,
                                         .head_dim = head_dim,
                                         .rotary_dim = rotary_dim,
                                         .type = type,
                                         .x = {y.raw(), 15 * head_dim, 3 * head_dim, head_dim},
                                         .out = {y.raw(), 15 * head_dim, 3 * head_dim, head_dim},
                                         .cosine = cosine.data<float>(),
                                         .sine = sine.data<float>(),
                                         .positions = positions.data<int32_t>(),
                                         .interleaved = interleaved,
                                         .inverse = inverse});
                             return std::vector<Tensor>{y};
                           }});
      }
  }
}

void add_optimizers(std::vector<KernelCase>& cases) {
  for (const std::string which : {"adamw", "lion", "sgd", "sgd momentum"})
    for (const bool large : {false, true}) {
      const std::vector<int64_t> counts =
          large ? std::vector<int64_t>{1 << 22} : std::vector<int64_t>{1, 33, 0, 20000, 7};
      struct State {
        std::vector<Tensor> values;
        std::vector<Tensor> halves;  // not compared: a last digit's difference may round to the next bf16
        std::vector<OptimizerTensor> tensors;
      };
      const auto state = std::make_shared<State>();
      const auto prepare = [=] {
        *state = {};
        for (const int64_t count : counts) {
          const Tensor p = random({count}, DType::f32, 1), g = random({count}, DType::f32, 2),
                       m = random({count}, DType::f32, 3);
          const Tensor v = Tensor::zeros({count}), half = Tensor::zeros({count}, DType::bf16);
          state->tensors.push_back({count, p.data<float>(), g.data<float>(), which == "sgd" ? nullptr : m.data<float>(),
                                    v.data<float>(), half.data<bf16>()});
          state->values.insert(state->values.end(), {p, g, m, v});
          state->halves.push_back(half);
        }
      };
      const auto step = [=](const KernelSet& set) {
        if (which == "adamw")
          set.adamw(state->tensors, {.lr = 0.01F, .weight_decay = 0.1F, .gradient_scale = 0.5F, .step = 3});
        if (which == "lion") set.lion(state->tensors, {.lr = 0.01F, .weight_decay = 0.1F, .gradient_scale = 0.5F});
        if (which.starts_with("sgd"))
          set.sgd(state->tensors,
                  {.lr = 0.01F, .momentum = 0.9F, .weight_decay = 0.1F, .gradient_scale = 0.5F, .nesterov = true});
        return state->values;
      };
      // Read: parameter, gradient, two moments; written: parameter, two moments, bf16 copy.
      cases.push_back(
          {which + (large ? " 4M" : " list"), f32_tolerance, 0, large ? 30.0 * (1 << 22) : 0, large, step, prepare});
    }
}

}  // namespace

std::vector<KernelCase> kernel_cases() {
  std::vector<KernelCase> cases;
  add_gemm(cases);
  add_rows(cases);
  add_elementwise(cases);
  add_tables(cases);
  add_relative_bias(cases);
  add_attention(cases);
  add_optimizers(cases);
  add_packed(cases);
  add_recurrences(cases);
  return cases;
}

}  // namespace qkv
