#include "qkv/kernels/cuda/attention/cudnn.h"

#include <cstdlib>
#include <string_view>

namespace qkv::kernels {
namespace {

constexpr int64_t widest_cudnn_head = 128, cudnn_step = 8;  // elements of 16 bits in 16 bytes

template <typename AnyHeads>
bool aligned_rows(const AnyHeads& x) {
  bool aligned = reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
  for (const int64_t stride : {x.batch_stride, x.time_stride, x.head_stride})
    aligned = aligned && stride % cudnn_step == 0;
  return aligned;
}

}  // namespace

bool cudnn_is_wished() {
  static const char* const wish = std::getenv("QKV_CUDNN");
  return wish != nullptr && std::string_view(wish) == "1";
}

bool suits_cudnn(const Attention& a) {
  const bool half = (a.type == DType::bf16 || a.type == DType::f16) && a.kv_type == a.type;
  const bool sized = a.batch > 0 && a.queries > 1 && a.keys > 0 && a.heads > 0 && a.head_dim > 0 &&
                     a.head_dim <= widest_cudnn_head && a.head_dim % cudnn_step == 0;
  const bool plain = a.window == 0 && a.always == 0 && a.softcap == 0 && a.slopes == nullptr && a.key_mask == nullptr &&
                     a.bias == nullptr && a.dropout == 0 && a.pages == nullptr && a.key_count == nullptr;
  return half && sized && plain && a.logsumexp != nullptr && (!a.causal || a.queries == a.keys) && aligned_rows(a.q) &&
         aligned_rows(a.k) && aligned_rows(a.v) && aligned_rows(a.out);
}

bool suits_cudnn(const AttentionBackward& a) {
  return suits_cudnn(a.forward) && a.dbias == nullptr && aligned_rows(a.dout) && aligned_rows(a.dq) &&
         aligned_rows(a.dk) && aligned_rows(a.dv);
}

}  // namespace qkv::kernels
