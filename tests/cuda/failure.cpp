#include "qkv/cuda/failure.h"

#include "qkv/core/error.h"

#include <gtest/gtest.h>

namespace qkv::cuda {
namespace {

std::string told(int status) {
  try {
    throw_failure(status, "said", "starting gemm (m 3)", {"Card", 1, 8, 6});
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Failure, OfAnEarlierKernelBlamesNoOther) {
  for (const int status : {700, 719}) {
    EXPECT_NE(told(status).find("a kernel that was started before failed (said)"), std::string::npos) << told(status);
    EXPECT_NE(told(status).find("CUDA_LAUNCH_BLOCKING=1"), std::string::npos);
  }
  EXPECT_EQ(told(701), "[cuda] starting gemm (m 3): said");
}

TEST(Failure, OfMissingCodeSaysHowToBuildIt) {
  EXPECT_NE(told(failed_no_code).find("no code for compute capability 8.6 (Card)"), std::string::npos);
  EXPECT_NE(told(failed_no_code).find("CUDA_ARCH=86"), std::string::npos);
  EXPECT_NE(told(failed_newer_ptx).find("the driver is older than this build's PTX"), std::string::npos);
}

}  // namespace
}  // namespace qkv::cuda
