// While one lives, nothing is recorded for replays.
#pragma once

#include <cstdlib>

namespace qkv {

struct WithoutReplays {
  WithoutReplays() { setenv("QKV_CUDA_GRAPHS", "0", 1); }
  ~WithoutReplays() { unsetenv("QKV_CUDA_GRAPHS"); }
  WithoutReplays(const WithoutReplays&) = delete;
  WithoutReplays& operator=(const WithoutReplays&) = delete;
};

}  // namespace qkv
