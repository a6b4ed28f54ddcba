// What a failed call of the CUDA runtime means, and what to do about it.
#pragma once

#include "qkv/cuda/runtime.h"

#include <string>

namespace qkv::cuda {

// Of the runtime's errors (cudaError_t), those that are told apart here. Their numbers are the same in all versions.
enum : int {
  failed_configuration = 9,
  failed_no_code = 209,   // for this card
  failed_newer_ptx = 222  // than the driver knows
};

// Throws Error for `status`, which the runtime calls `said`, met when `doing` something on `card`.
[[noreturn]] void throw_failure(int status, const std::string& said, const std::string& doing, const DeviceInfo& card);

}  // namespace qkv::cuda
