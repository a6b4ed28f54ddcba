// CUDA's kernels against the reference, on the whole table. On the emulated device also with its threads in another
// order, which must not change a bit.
#include "tests/kernels/compare.h"

#include "qkv/cuda/emulated/threads.h"

namespace qkv {
namespace {

std::vector<Tensor> on_device(const KernelCase& one, uint64_t seed) {
  cuda::emulated::set_seed(seed);
  return one.result(kernels::cuda());
}

TEST(CudaKernels, AgreeWithTheReference) {
  for (const KernelCase& one : kernel_cases()) {
    if (one.large || one.flops > 1e8) continue;  // a host is slow at playing a device
    const std::vector<Tensor> got = on_device(one, 1);
    expect_same(one, got, one.result(kernels::reference()));
    expect_same_bits(one, on_device(one, 2), got);
  }
}

}  // namespace
}  // namespace qkv
