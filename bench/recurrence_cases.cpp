// Kernels that go along time: the causal convolution, the selective scan and the moving average.
#include "bench/case_values.h"

#include <fmt/format.h>

namespace qkv {
namespace {

using namespace kernels;

struct ConvShape {
  int64_t batch, time, width, taps;
};

void add_causal_conv(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const ConvShape s : {ConvShape{1, 1, 1, 1}, {2, 5, 19, 4}, {3, 2, 40, 3}, {1, 0, 8, 4}, {2, 1024, 1536, 4}})
    for (const DType type : both) {
      const bool large = s.time > 100;
      const int64_t stride = s.width + 3;
      const Tensor x = random({s.batch, s.time, stride}, type, 1), dy = random({s.batch, s.time, s.width}, type, 2);
      const Tensor weight = random({s.width, s.taps}, DType::f32, 3), bias = random({s.width}, DType::f32, 4);
      const Tensor before = random({s.batch, s.taps - 1, s.width}, type, 5);
      const CausalConv call{.batch = s.batch,
                            .time = s.time,
                            .width = s.width,
                            .taps = s.taps,
                            .type = type,
                            .x = x.raw(),
                            .x_batch_stride = s.time * stride,
                            .x_time_stride = stride,
                            .weight = weight.data<float>()};
      // What the calls point to must live as long as the case.
      const std::vector<Tensor> kept = {x, weight};
      const std::string label = fmt::format("{}x{}x{} taps {} {}", s.batch, s.time, s.width, s.taps, name_of(type));
      for (const bool continued : {false, true})
        cases.push_back({fmt::format("causal_conv {}{}", label, continued ? " bias continued" : ""), tolerance_of(type),
                         0, bytes_of({x, dy}), large && continued, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty({kept[0].size(0), kept[0].size(1), s.width}, type);
                           CausalConv one = call;
                           one.before = continued ? before.raw() : nullptr;
                           one.bias = continued ? bias.data<float>() : nullptr;
                           one.y = y.raw();
                           set.causal_conv(one);
                           return std::vector<Tensor>{y};
                         }});
      for (const bool accumulate : {false, true})
        cases.push_back(
            {fmt::format("causal_conv_backward {}{}", label, accumulate ? " add" : ""), 2 * tolerance_of(type), 0,
             bytes_of({x, dy, dy}), large && !accumulate, [=](const KernelSet& set) {
               const Tensor dx = Tensor::empty(dy.shape(), type), dweight = copy_of(kept[1]), dbias = copy_of(bias);
               set.causal_conv_backward({.forward = call,
                                         .dy = dy.raw(),
                                         .dx = dx.raw(),
                                         .dweight = dweight.data<float>(),
                                         .dbias = dbias.data<float>(),
                                         .accumulate_weight = accumulate,
                                         .accumulate_bias = accumulate});
               return std::vector<Tensor>{dx, dweight, dbias};
             }});
    }
}

struct ScanShape {
  int64_t batch, time, width, states;
};

void add_selective_scan(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const ScanShape s : {ScanShape{1, 1, 1, 1}, {2, 7, 19, 3}, {3, 4, 40, 16}, {2, 0, 8, 4}, {2, 512, 1536, 16}})
    for (const DType type : both) {
      const bool large = s.time > 100;
      const Shape shape{s.batch, s.time, s.width};
      const int64_t ld = 2 * s.states + 1;
      const Tensor x = random(shape, type, 1), dy = random(shape, type, 2), delta = random(shape, type, 3);
      // Steps are positive: softplus made them.
      const std::vector<float> drawn = delta.to_vector<float>();
      for (int64_t i = 0; i < delta.numel(); ++i) set_number(delta, i, 0.5F + 0.5F * drawn[static_cast<size_t>(i)]);
      const Tensor chosen = random({s.batch, s.time, ld}, type, 4);
      const Tensor log_a = random({s.width, s.states}, DType::f32, 5), skip = random({s.width}, DType::f32, 6);
      const Tensor state = random({s.batch, s.states, s.width}, DType::f32, 7);
      const SelectiveScan call{.batch = s.batch,
                               .time = s.time,
                               .width = s.width,
                               .states = s.states,
                               .type = type,
                               .x = x.raw(),
                               .delta = delta.raw(),
                               .b = chosen.raw(),
                               .c = static_cast<char*>(chosen.raw()) + s.states * size_of(type),
                               .ld = ld,
                               .log_a = log_a.data<float>(),
                               .skip = skip.data<float>()};
      const std::vector<Tensor> kept = {x, delta, chosen, log_a, skip};
      const std::string label = fmt::format("{}x{}x{} states {} {}", s.batch, s.time, s.width, s.states, name_of(type));
      const double flops = 9.0 * static_cast<double>(s.batch * s.time * s.width * s.states);
      for (const bool continued : {false, true})
        cases.push_back({fmt::format("selective_scan {}{}", label, continued ? " continued" : ""), tolerance_of(type),
                         flops, bytes_of({x, x, dy}), large && continued, [=](const KernelSet& set) {
                           const Tensor y = Tensor::empty(kept[0].shape(), type), after = copy_of(state);
                           SelectiveScan one = call;
                           one.y = y.raw();
                           one.before = continued ? after.data<float>() : nullptr;
                           one.after = after.data<float>();
                           set.selective_scan(one);
                           return std::vector<Tensor>{y, after};
                         }});
      for (const bool accumulate : {false, true})
        cases.push_back({fmt::format("selective_scan_backward {}{}", label, accumulate ? " add" : ""),
                         2 * tolerance_of(type), 3 * flops, bytes_of({x, x, dy, dy, dy}), large && !accumulate,
                         [=](const KernelSet& set) {
                           const Tensor dx = Tensor::empty(dy.shape(), type), ddelta = Tensor::empty(dy.shape(), type);
                           const Tensor db = Tensor::empty({s.batch, s.time, s.states}), dc = copy_of(db);
                           const Tensor dlog_a = copy_of(kept[3]), dskip = copy_of(kept[4]);
                           set.selective_scan_backward({.forward = call,
                                                        .dy = dy.raw(),
                                                        .dx = dx.raw(),
                                                        .ddelta = ddelta.raw(),
                                                        .db = db.data<float>(),
                                                        .dc = dc.data<float>(),
                                                        .dlog_a = dlog_a.data<float>(),
                                                        .dskip = dskip.data<float>(),
                                                        .accumulate_log_a = accumulate,
                                                        .accumulate_skip = accumulate});
                           return std::vector<Tensor>{dx, ddelta, db, dc, dlog_a, dskip};
                         }});
    }
}

void add_moving_average(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const ScanShape s : {ScanShape{1, 1, 1, 1}, {2, 7, 19, 3}, {3, 4, 40, 16}, {2, 0, 8, 4}, {2, 512, 1024, 16}})
    for (const DType type : both)
      for (const bool reversed : {false, true}) {
        const bool large = s.time > 100;
        const Shape shape{s.batch, s.time, s.width};
        const Tensor x = random(shape, type, 1), dy = random(shape, type, 2), given = random(shape, type, 3);
        const Tensor decay = random({s.width, s.states}, DType::f32, 4), in = random(decay.shape(), DType::f32, 5),
                     out = random(decay.shape(), DType::f32, 6),
                     state = random({s.batch, s.states, s.width}, DType::f32, 7);
        const MovingAverage call{.batch = s.batch,
                                 .time = s.time,
                                 .width = s.width,
                                 .states = s.states,
                                 .type = type,
                                 .x = x.raw(),
                                 .decay = decay.data<float>(),
                                 .in = in.data<float>(),
                                 .out = out.data<float>(),
                                 .reversed = reversed,
                                 .add = reversed};
        // What the calls point to must live as long as the case.
        const std::vector<Tensor> kept = {x, decay, in, out};
        const std::string label = fmt::format("{}x{}x{} states {} {}{}", s.batch, s.time, s.width, s.states,
                                              name_of(type), reversed ? " reversed" : "");
        const double flops = 4.0 * static_cast<double>(s.batch * s.time * s.width * s.states);
        cases.push_back(
            {"moving_average " + label, tolerance_of(type), flops, bytes_of({x, dy}), large, [=](const KernelSet& set) {
               const Tensor y = copy_of(given), after = copy_of(state);
               MovingAverage one = call;
               one.y = y.raw();
               one.before = reversed ? nullptr : after.data<float>();
               one.after = after.data<float>();
               set.moving_average(one);
               return std::vector<Tensor>{y, after};
             }});
        cases.push_back({"moving_average_backward " + label, 2 * tolerance_of(type), 3 * flops, bytes_of({x, dy, dy}),
                         large, [=](const KernelSet& set) {
                           const Tensor dx = copy_of(given), ddecay = copy_of(kept[1]), din = copy_of(kept[2]),
                                        dout = copy_of(kept[3]);
                           set.moving_average_backward({.forward = call,
                                                        .dy = dy.raw(),
                                                        .dx = dx.raw(),
                                                        .ddecay = ddecay.data<float>(),
                                                        .din = din.data<float>(),
                                                        .dout = dout.data<float>()});
                           return std::vector<Tensor>{dx, ddecay, din, dout};
                         }});
      }
}

}  // namespace

void add_recurrences(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  add_causal_conv(cases, both);
  add_selective_scan(cases, both);
  add_moving_average(cases, both);
}

}  // namespace qkv
