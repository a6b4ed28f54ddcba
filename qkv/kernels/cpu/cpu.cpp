#include "qkv/kernels/cpu/cpu.h"

namespace qkv::kernels {
namespace {

KernelSet make_cpu() {
  KernelSet set = reference();
  set.name = "cpu";
  set.inherited = {"gemm",       "sum_rows",          "gather",             "scatter_add", "norm",
                   "norm_backward", "activate",       "activate_backward",  "gated",       "gated_backward",
                   "attention",  "attention_backward", "attention_pattern", "rotary",      "cross_entropy",
                   "softmax",    "softmax_backward",  "binary",             "scale",       "dropout",
                   "copy",       "fill",              "sum_squares",        "adamw",       "lion",
                   "sgd"};
  return set;
}

}  // namespace

const KernelSet& cpu() {
  static const KernelSet set = make_cpu();
  return set;
}

}  // namespace qkv::kernels
