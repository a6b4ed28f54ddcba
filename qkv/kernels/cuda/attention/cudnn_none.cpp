// For builds that found no cuDNN (cmake/cuda.cmake).
#include "qkv/core/notice.h"
#include "qkv/kernels/cuda/attention/cudnn.h"

namespace qkv::kernels {

bool attention_by_cudnn(const Attention& a) {
  if (cudnn_is_wished() && suits_cudnn(a))
    notice("cuda", "QKV_CUDNN=1 does nothing: this program was built without cuDNN");
  return false;
}
bool attention_backward_by_cudnn(const AttentionBackward&) { return false; }

}  // namespace qkv::kernels
