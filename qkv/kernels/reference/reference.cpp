#include "qkv/kernels/reference/reference.h"

namespace qkv::kernels {

const KernelSet& reference() {
  namespace r = reference_set;
  static const KernelSet set{.name = "reference",
                             .gemm = r::gemm,
                             .packed_bytes = r::packed_bytes,
                             .pack = r::pack,
                             .packed_gemm = r::packed_gemm,
                             .sum_rows = r::sum_rows,
                             .gather = r::gather,
                             .scatter_add = r::scatter_add,
                             .norm = r::norm,
                             .norm_backward = r::norm_backward,
                             .activate = r::activate,
                             .activate_backward = r::activate_backward,
                             .gated = r::gated,
                             .gated_backward = r::gated_backward,
                             .attention = r::attention,
                             .attention_each = r::attention_each,
                             .attention_backward = r::attention_backward,
                             .attention_pattern = r::attention_pattern,
                             .relative_bias = r::relative_bias,
                             .relative_bias_backward = r::relative_bias_backward,
                             .rotary = r::rotary,
                             .causal_conv = r::causal_conv,
                             .causal_conv_backward = r::causal_conv_backward,
                             .selective_scan = r::selective_scan,
                             .selective_scan_backward = r::selective_scan_backward,
                             .moving_average = r::moving_average,
                             .moving_average_backward = r::moving_average_backward,
                             .cross_entropy = r::cross_entropy,
                             .softmax = r::softmax,
                             .softmax_backward = r::softmax_backward,
                             .binary = r::binary,
                             .scale = r::scale,
                             .dropout = r::dropout,
                             .copy = r::copy,
                             .write_pages = r::write_pages,
                             .fill = r::fill,
                             .l2_norm = r::l2_norm,
                             .adamw = r::adamw,
                             .lion = r::lion,
                             .sgd = r::sgd,
                             .inherited = {}};
  return set;
}

}  // namespace qkv::kernels
