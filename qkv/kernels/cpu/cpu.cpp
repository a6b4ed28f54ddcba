#include "qkv/kernels/cpu/cpu.h"

namespace qkv::kernels {
namespace {

KernelSet make_cpu() {
  namespace c = cpu_set;
  KernelSet set = reference();
  set.name = "cpu";
  set.gemm = c::gemm;
  set.packed_bytes = c::packed_bytes;
  set.pack = c::pack;
  set.packed_gemm = c::packed_gemm;
  set.sum_rows = c::sum_rows;
  set.gather = c::gather;
  set.scatter_add = c::scatter_add;
  set.norm = c::norm;
  set.norm_backward = c::norm_backward;
  set.activate = c::activate;
  set.activate_backward = c::activate_backward;
  set.gated = c::gated;
  set.gated_backward = c::gated_backward;
  set.attention = c::attention;
  set.attention_each = c::attention_each;
  set.attention_backward = c::attention_backward;
  set.relative_bias = c::relative_bias;
  set.relative_bias_backward = c::relative_bias_backward;
  set.rotary = c::rotary;
  set.causal_conv = c::causal_conv;
  set.causal_conv_backward = c::causal_conv_backward;
  set.selective_scan = c::selective_scan;
  set.selective_scan_backward = c::selective_scan_backward;
  set.moving_average = c::moving_average;
  set.moving_average_backward = c::moving_average_backward;
  set.cross_entropy = c::cross_entropy;
  set.softmax = c::softmax;
  set.softmax_backward = c::softmax_backward;
  set.binary = c::binary;
  set.scale = c::scale;
  set.dropout = c::dropout;
  set.copy = c::copy;
  set.write_pages = c::write_pages;
  set.fill = c::fill;
  set.l2_norm = c::l2_norm;
  set.adamw = c::adamw;
  set.lion = c::lion;
  set.sgd = c::sgd;
  set.inherited = {"attention_pattern"};
  return set;
}

}  // namespace

const KernelSet& cpu() {
  static const KernelSet set = make_cpu();
  return set;
}

}  // namespace qkv::kernels
