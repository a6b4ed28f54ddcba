// One table of kernel calls for three uses: the fast kernels are checked against the reference on it, for every
// instruction set; it is timed by `qkv bench ops`; and it says what each kernel promises to take.
#pragma once

#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

#include <functional>
#include <string>
#include <vector>

namespace qkv {

struct KernelCase {
  std::string name;  // "gemm 33x17x5 f32 nt bias"
  double tolerance;  // of results, relative to the largest reference value
  double flops = 0;  // arithmetic and memory traffic of one call, for rates
  double bytes = 0;
  bool large = false;  // timed; small ones are for correctness only
  // Runs on inputs that are the same every time; returns what was computed.
  std::function<std::vector<Tensor>(const kernels::KernelSet&)> run;
  // For calls that change their inputs: makes these anew before each run, so that only the call is timed. May be empty.
  std::function<void()> prepare = {};

  std::vector<Tensor> result(const kernels::KernelSet& set) const {
    if (prepare) prepare();
    return run(set);
  }
};

// `half`: the 16-bit type that stands beside f32; f16 is for sets that take it (kernels.h).
std::vector<KernelCase> kernel_cases(DType half = DType::bf16);

}  // namespace qkv
