// How positions enter attention: relative biases and rotations.
#include "bench/case_values.h"

#include <fmt/format.h>

namespace qkv {
namespace {

using namespace kernels;

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

void add_rotary(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const DType type : both)
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

}  // namespace

void add_positions(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  add_relative_bias(cases);
  add_rotary(cases, both);
}

}  // namespace qkv
