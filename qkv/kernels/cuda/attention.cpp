#include "qkv/core/error.h"
#include "qkv/kernels/cuda/attention/calls.h"
#include "qkv/kernels/cuda/attention/cudnn.h"
#include "qkv/kernels/cuda/cuda.h"

namespace qkv::kernels::cuda_set {
namespace {

constexpr int64_t widest_head = 256;

enum class Way { decode, bf16, f16, f32 };

Way way_of(const Attention& a) {
  check_heads(a);
  if (suits_decoding(a)) return Way::decode;
  return a.type == DType::bf16 ? Way::bf16 : a.type == DType::f16 ? Way::f16 : Way::f32;
}

void start(Way way, Calls& calls) {
  if (calls.count == 0) return;
  switch (way) {
    case Way::decode:
      attention_decode(calls);
      break;
    case Way::bf16:
      attention_bf16(calls);
      break;
    case Way::f16:
      attention_f16(calls);
      break;
    case Way::f32:
      attention_f32(calls);
      break;
  }
  calls.count = 0;
}

}  // namespace

void check_heads(const Attention& a) {
  if (a.head_dim > widest_head)
    throw Error("attention",
                fmt::format("heads of {} numbers are more than CUDA's kernels take, {}", a.head_dim, widest_head),
                "use --device cpu");
}

void attention(const Attention& a) {
  if (attention_by_cudnn(a)) return;
  Calls calls{.count = 1, .at = {a}};
  start(way_of(a), calls);
}

void attention_each(std::span<const Attention> all) {
  for (const Way way : {Way::decode, Way::bf16, Way::f16, Way::f32}) {
    Calls calls;
    for (const Attention& a : all) {
      if (way_of(a) != way) continue;
      calls.at[calls.count++] = a;
      if (calls.count == Calls::most) start(way, calls);
    }
    start(way, calls);
  }
}

}  // namespace qkv::kernels::cuda_set
