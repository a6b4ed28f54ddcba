#include "bench/kernel_cases.h"

#include "bench/case_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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
  KernelCase one{fmt::format("gemm {}x{}x{} {}->{} {}{}{}{}{}", m, n, k, name_of(type), name_of(out), ta ? 't' : 'n',
                             tb ? 't' : 'n', bias ? " bias" : "", accumulate ? " add" : "",
                             activation == Activation::none ? "" : " act"),
                 std::max(tolerance_of(type) * (type != DType::f32 && out == DType::f32 ? 0.01 : 1), tolerance_of(out)),
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

void add_gemm(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  const int64_t sizes[][3] = {{1, 1, 1},  {1, 65, 33}, {3, 130, 17}, {5, 64, 128},  {8, 200, 40},  {33, 17, 5},
                              {64, 1, 7}, {0, 4, 4},   {4, 4, 0},    {70, 90, 110}, {136, 144, 72}};
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
  // Mixed operands: 16-bit rows by an f32 matrix.
  const DType half = both[1];
  const Tensor a = random({9, 40}, half, 1), b = random({70, 40}, DType::f32, 2);
  for (const int64_t m : {2, 9})
    cases.push_back(
        {fmt::format("gemm mixed {} {}", m, name_of(half)), f32_tolerance, 0, 0, false, [=](const KernelSet& set) {
           const Tensor y = Tensor::empty({m, 70});
           set.gemm({.m = m,
                     .n = 70,
                     .k = 40,
                     .a = a.raw(),
                     .a_type = half,
                     .lda = 40,
                     .b = b.raw(),
                     .ldb = 40,
                     .b_transposed = true,
                     .c = y.raw(),
                     .ldc = 70});
           return std::vector<Tensor>{y};
         }});
}

void add_rows(std::vector<KernelCase>& cases, const ComputeTypes& both) {
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

void add_elementwise(std::vector<KernelCase>& cases, const ComputeTypes& both) {
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
        set.dropout({.count = count, .type = type, .x = x.raw(), .y = y.raw(), .p = 0.3F, .key = {12345}});
      });
      add("fill", traffic / 2, [=](const KernelSet& set, const Tensor& y) { set.fill(y.raw(), type, count, 1.5F); });
      cases.push_back({"l2_norm " + label, 1e-6, 0, traffic / 2, large, [=](const KernelSet& set) {
                         const L2NormPart whole{.count = count, .type = type, .x = x.raw()};
                         const Tensor norm = Tensor::empty({1});
                         set.l2_norm({&whole, 1}, norm.data<float>());
                         return std::vector<Tensor>{norm};
                       }});
    }
  const Tensor a = random({6, 35}, DType::f32, 1), b = random({35}, DType::f32, 2);
  const Tensor long_one = random({40000}, DType::f32, 3), half = random({35}, DType::bf16, 4);
  cases.push_back({"l2_norm many", 1e-6, 0, 0, false, [=](const KernelSet& set) {
                     std::vector<L2NormPart> all = {{.count = 40000, .x = long_one.raw()}, {}};
                     for (int64_t i = 0; i < 100; ++i) all.push_back({.count = 2 * i, .x = a.data<float>() + i % 7});
                     all.push_back({.count = 35, .type = DType::bf16, .x = half.raw()});
                     const Tensor norm = Tensor::empty({1});
                     set.l2_norm(all, norm.data<float>());
                     return std::vector<Tensor>{norm};
                   }});
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

void add_tables(std::vector<KernelCase>& cases, const ComputeTypes& both) {
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
        // The table's rows are counted from one behind the first.
        const int32_t first = 3;
        const Tensor behind = copy_of(places);
        for (int64_t i = 0; i < rows; ++i) behind.data<int32_t>()[i] -= first;
        cases.push_back({fmt::format("scatter_add {}x{} {}", rows, width, name_of(type)), f32_tolerance, 0,
                         bytes_of({x, x}), width == 768 && table_type == type, [=](const KernelSet& set) {
                           const Tensor y = Tensor::zeros({29, width});
                           set.scatter_add({.rows = rows,
                                            .width = width,
                                            .table_rows = 29,
                                            .ids = behind.data<int32_t>(),
                                            .x = x.raw(),
                                            .type = type,
                                            .out = y.data<float>() + first * width,
                                            .padding = behind.data<int32_t>()[rows / 2]});
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

// Rows of [rows, 3, width] into blocks [rows, width]: bit for bit.
void quantizing_case(std::vector<KernelCase>& cases, int64_t rows, int64_t width, DType type, bool large) {
  Tensor x = random({rows, 3, width}, type, 1, 5);
  if (type == DType::f32) {
    std::fill_n(x.data<float>(), 32, 0.0F);
    x.data<float>()[3 * width] = INFINITY;
    x.data<float>()[3 * width + 40] = NAN;
    x.data<float>()[6 * width] = 1e-37F;
  }
  cases.push_back({fmt::format("copy to q8_0 {}x{} {}", rows, width, name_of(type)), 0, 0,
                   static_cast<double>(rows * width * size_of(type)), large, [=](const KernelSet& set) {
                     const Tensor bytes = Tensor::empty({bytes_of(DType::q8_0, rows * width)}, DType::u8);
                     set.copy({.rank = 2,
                               .size = {rows, width},
                               .x = x.raw(),
                               .x_type = type,
                               .x_stride = {3 * width, 1},
                               .y = bytes.raw(),
                               .y_type = DType::q8_0,
                               .y_stride = {width, 1}});
                     return std::vector<Tensor>{bytes};
                   }});
}

void add_quantizing(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const DType type : both) {
    quantizing_case(cases, 5, 64, type, false);
    quantizing_case(cases, 512, 2048, type, true);
  }
}

// A row of each sequence behind those that a cache holds already.
void appending_case(std::vector<KernelCase>& cases, DType from, DType to) {
  const int64_t batch = 3, capacity = 7, width = 64;
  const Tensor x = random({batch, width}, from, 1), place = Tensor::from<int32_t>({1}, {4});
  const Tensor cache = Tensor::zeros({bytes_of(to, batch * capacity * width)}, DType::u8);
  cases.push_back(
      {fmt::format("copy to a place {}->{}", name_of(from), name_of(to)), 0, 0, 0, false, [=](const KernelSet& set) {
         const Tensor y = copy_of(cache);
         set.copy({.rank = 2,
                   .size = {batch, width},
                   .x = x.raw(),
                   .x_type = from,
                   .x_stride = {width, 1},
                   .y = y.raw(),
                   .y_type = to,
                   .y_stride = {capacity * width, 1},
                   .place = place.data<int32_t>(),
                   .place_stride = width});
         return std::vector<Tensor>{y};
       }});
}

void add_appending(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const DType from : both)
    for (const DType to : {DType::f32, both[1], DType::q8_0}) appending_case(cases, from, to);
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
      const Tensor numbers = Tensor::from<float>({4}, {0.01F, 0.271F, 0.003F, 0});  // StepNumbers
      const Tensor norms =
          Tensor::from<float>({4}, {4, 1.5F, NAN, INFINITY});  // that cut, that do not, that change nothing
      const auto step_with = [=](const KernelSet& set, int64_t which_norm) {
        const auto* now = static_cast<const StepNumbers*>(numbers.raw());
        const Clipping clipping{.norm = norms.data<float>() + which_norm, .most = 2};
        if (which == "adamw") set.adamw(state->tensors, {.now = now, .clipping = clipping, .weight_decay = 0.1F});
        if (which == "lion") set.lion(state->tensors, {.now = now, .clipping = clipping, .weight_decay = 0.1F});
        if (which.starts_with("sgd"))
          set.sgd(state->tensors,
                  {.now = now, .clipping = clipping, .momentum = 0.9F, .weight_decay = 0.1F, .nesterov = true});
      };
      const auto step = [=](const KernelSet& set) {
        for (int64_t i = 0; i < (large ? 1 : norms.numel()); ++i) step_with(set, i);
        return state->values;
      };
      // Read: parameter, gradient, two moments; written: parameter, two moments, bf16 copy.
      cases.push_back(
          {which + (large ? " 4M" : " list"), f32_tolerance, 0, large ? 30.0 * (1 << 22) : 0, large, step, prepare});
    }
}

}  // namespace

std::vector<KernelCase> kernel_cases(DType half) {
  const ComputeTypes both{DType::f32, half};
  std::vector<KernelCase> cases;
  add_gemm(cases, both);
  add_rows(cases, both);
  add_elementwise(cases, both);
  add_tables(cases, both);
  add_quantizing(cases, both);
  add_appending(cases, both);
  add_positions(cases, both);
  add_attention(cases, both);
  add_optimizers(cases);
  add_packed(cases, both);
  add_recurrences(cases, both);
  return cases;
}

}  // namespace qkv
