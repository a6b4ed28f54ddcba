#include "qkv/cuda/failure.h"

#include "qkv/core/error.h"

namespace qkv::cuda {
namespace {

// What a kernel meets while it runs. It is told at any later call, and then at all of them.
bool is_of_earlier_kernel(int status) {
  switch (status) {
    case 214:  // memory that is damaged
    case 700:  // an address that is nobody's
    case 702:  // too long
    case 710:  // an assertion
    case 714:  // the stack
    case 715:  // an instruction
    case 716:  // alignment
    case 717:  // an address space
    case 718:  // the program counter
    case 719:  // anything else
      return true;
    default:
      return false;
  }
}

}  // namespace

void throw_failure(int status, const std::string& said, const std::string& doing, const DeviceInfo& card) {
  if (is_of_earlier_kernel(status))
    throw Error("cuda", fmt::format("a kernel that was started before failed ({}); it showed when {}", said, doing),
                "CUDA_LAUNCH_BLOCKING=1 in the environment, to see which, or compute-sanitizer, to see where",
                Error::Kind::internal);
  const std::string machine_code = fmt::format("make build CUDA=1 CUDA_ARCH={}{}", card.major, card.minor);
  const std::string capability = fmt::format("{}.{} ({})", card.major, card.minor, card.name);
  if (status == failed_no_code)
    throw Error("cuda", fmt::format("this build has no code for compute capability {}: {}", capability, said),
                machine_code + ", or -DQKV_CUDA_CODE=... for several kinds of cards");
  if (status == failed_newer_ptx)
    throw Error("cuda",
                fmt::format("the driver is older than this build's PTX, and there is no machine code for compute "
                            "capability {}: {}",
                            capability, said),
                "a newer driver, or " + machine_code);
  throw Error("cuda", fmt::format("{}: {}", doing, said), "",
              status == failed_configuration ? Error::Kind::internal : Error::Kind::user);
}

}  // namespace qkv::cuda
