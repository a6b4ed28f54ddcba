#include "qkv/kernels/cuda/cuda.h"

#include "qkv/core/error.h"

namespace qkv::kernels {
void cuda_set::refuse(const char* op, const char* what) { throw Error(op, what, "use --device cpu"); }

const KernelSet& cuda() {
  namespace c = cuda_set;
  static const KernelSet set{.name = "cuda",
                             .takes_rounded_bias = true,
                             .gemm = c::gemm,
                             .packed_bytes = c::packed_bytes,
                             .pack = c::pack,
                             .packed_gemm = c::packed_gemm,
                             .sum_rows = c::sum_rows,
                             .gather = c::gather,
                             .scatter_add = c::scatter_add,
                             .norm = c::norm,
                             .norm_backward = c::norm_backward,
                             .activate = c::activate,
                             .activate_backward = c::activate_backward,
                             .gated = c::gated,
                             .gated_backward = c::gated_backward,
                             .attention = c::attention,
                             .attention_each = c::attention_each,
                             .attention_backward = c::attention_backward,
                             .attention_pattern = c::attention_pattern,
                             .relative_bias = c::relative_bias,
                             .relative_bias_backward = c::relative_bias_backward,
                             .rotary = c::rotary,
                             .causal_conv = c::causal_conv,
                             .causal_conv_backward = c::causal_conv_backward,
                             .selective_scan = c::selective_scan,
                             .selective_scan_backward = c::selective_scan_backward,
                             .moving_average = c::moving_average,
                             .moving_average_backward = c::moving_average_backward,
                             .cross_entropy = c::cross_entropy,
                             .softmax = c::softmax,
                             .softmax_backward = c::softmax_backward,
                             .binary = c::binary,
                             .scale = c::scale,
                             .dropout = c::dropout,
                             .copy = c::copy,
                             .write_pages = c::write_pages,
                             .fill = c::fill,
                             .l2_norm = c::l2_norm,
                             .adamw = c::adamw,
                             .lion = c::lion,
                             .sgd = c::sgd,
                             .inherited = {}};
  return set;
}

}  // namespace qkv::kernels
