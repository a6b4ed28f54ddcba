// CUDA's kernels against the reference, on the whole table. The cases' tensors are the host's: the emulated device
// takes them as they are, a card where its driver lets it read any memory. On the emulated device also with threads in
// another order, which must not change a bit.
#include "tests/kernels/compare.h"

#include "qkv/cuda/runtime.h"

#if defined(QKV_CUDA_EMULATED)
#include "qkv/cuda/emulated/threads.h"
#else
#include <cuda_runtime_api.h>
#endif

namespace qkv {
namespace {

#if defined(QKV_CUDA_EMULATED)
void choose_order(uint64_t seed) { cuda::emulated::set_seed(seed); }
bool takes(const KernelCase& one) { return !one.large && one.flops < 3e7; }  // a host is slow at playing a device
bool reads_host_memory() { return true; }
#else
void choose_order(uint64_t) {}
bool takes(const KernelCase& one) { return !one.large || one.flops < 3e8; }  // the reference is slow
bool reads_host_memory() {
  int reads = 0;
  return cudaDeviceGetAttribute(&reads, cudaDevAttrPageableMemoryAccess, 0) == cudaSuccess && reads != 0;
}
#endif

std::vector<Tensor> on_device(const KernelCase& one, uint64_t seed) {
  choose_order(seed);
  std::vector<Tensor> results = one.result(kernels::cuda());
  cuda::synchronize();
  return results;
}

TEST(CudaKernels, AgreeWithTheReference) {
  if (cuda::devices().empty()) GTEST_SKIP() << cuda::why_none();
  if (!reads_host_memory()) GTEST_SKIP() << "the driver does not let the card read the host's memory";
  for (const KernelCase& one : kernel_cases()) {
    if (!takes(one)) continue;
    const std::vector<Tensor> got = on_device(one, 1);
    expect_same(one, got, one.result(kernels::reference()));
    expect_same_bits(one, on_device(one, 2), got);
  }
}

}  // namespace
}  // namespace qkv
