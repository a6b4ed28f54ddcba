// CUDA's kernels against the reference, on the whole table. The cases' tensors are the host's: the emulated device
// takes them as they are, for a card they lie in memory that both read (cudaMallocManaged). On the emulated device also
// with threads in another order, which must not change a bit.
#include "tests/kernels/compare.h"
#include "tests/kernels/rounding.h"

#include "qkv/core/error.h"
#include "qkv/cuda/runtime.h"
#include "qkv/tensor/storage.h"

#if defined(QKV_CUDA_EMULATED)
#include "qkv/cuda/emulated/threads.h"
#include "qkv/kernels/cuda/launch.h"
#endif

namespace qkv {
namespace {

#if defined(QKV_CUDA_EMULATED)
void choose_order(uint64_t seed) { cuda::emulated::set_seed(seed); }
bool takes(const KernelCase& one) { return !one.large && one.flops < 3e7; }  // a host is slow at playing a device
void share_memory() {}
#else
void choose_order(uint64_t) {}
bool takes(const KernelCase& one) { return !one.large || one.flops < 3e8; }  // the reference is slow
void share_memory() {
  set_host_memory({.take = [](size_t, size_t bytes) { return cuda::allocate_for_both(bytes); },
                   .give_back = cuda::release_for_both});
}
#endif

std::vector<Tensor> on_device(const KernelCase& one, uint64_t seed) {
  choose_order(seed);
  std::vector<Tensor> results = one.result(kernels::cuda());
  cuda::synchronize();
  return results;
}

void compare(const KernelCase& one) {
  const std::vector<Tensor> got = on_device(one, 1);
  expect_same(one, got, one.result(kernels::reference()));
  expect_same_bits(one, on_device(one, 2), got);
}

bool in_f16(const KernelCase& one) {
  return one.name.find(" f16") != std::string::npos || one.name.find("->f16") != std::string::npos;
}

class CudaKernels : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda::devices().empty()) GTEST_SKIP() << cuda::why_none();
    share_memory();
  }
};

TEST_F(CudaKernels, AgreeWithTheReference) {
  for (const KernelCase& one : kernel_cases())
    if (takes(one)) compare(one);
}

TEST_F(CudaKernels, AgreeInF16Too) {
  int compared = 0;
  for (const KernelCase& one : kernel_cases(DType::f16)) {
    if (!takes(one) || !in_f16(one)) continue;
    compare(one);
    ++compared;
  }
  EXPECT_GT(compared, 300);
}

TEST_F(CudaKernels, RoundCopiesAtRandomWhereThatIsAsked) {
  expect_rounded_at_random(kernels::cuda(), cuda::synchronize);
}

TEST_F(CudaKernels, RefuseBf16BesideF16) {
  const Tensor a = Tensor::empty({8, 8}, DType::bf16), b = Tensor::empty({8, 8}, DType::f16), c = Tensor::empty({8, 8});
  EXPECT_THROW(kernels::cuda().gemm({.m = 8,
                                     .n = 8,
                                     .k = 8,
                                     .a = a.raw(),
                                     .a_type = DType::bf16,
                                     .lda = 8,
                                     .b = b.raw(),
                                     .b_type = DType::f16,
                                     .ldb = 8,
                                     .b_transposed = true,
                                     .c = c.raw(),
                                     .ldc = 8}),
               Error);
}

#if defined(QKV_CUDA_EMULATED)
void nothing(kernels::SumRows) {}

// The emulated device would take any, and a card's driver only says that something is wrong.
TEST(Launch, RefusesGridsThatNoCardTakes) {
  const auto start = [](kernels::Grid grid) {
    kernels::launch("sum_rows", nothing, grid, 1, 0, kernels::SumRows{.rows = 7, .width = 9});
  };
  start({3, 2, 1});
  for (const kernels::Grid grid :
       {kernels::Grid{int64_t{1} << 31}, kernels::Grid{1, 65536}, kernels::Grid{1, 1, 65536}}) {
    try {
      start(grid);
      ADD_FAILURE() << grid.x << " " << grid.y << " " << grid.z;
    } catch (const Error& error) {
      EXPECT_NE(error.reason().find("starting sum_rows (rows 7, width 9; "), std::string::npos) << error.what();
    }
  }
}
#endif

}  // namespace
}  // namespace qkv
