// The emulated device's memory: part of the host's that nobody may touch but a kernel or a copy of the device.
#pragma once

#include <cstddef>

namespace qkv::cuda {

// Without asking whether work is being recorded.
void* allocate_now(size_t bytes);
void release_now(void* memory, size_t bytes) noexcept;

}  // namespace qkv::cuda

namespace qkv::cuda::emulated {

// While one lives, the host plays the device. One at a time: others wait.
class OnDevice {
 public:
  OnDevice();
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
};

}  // namespace qkv::cuda::emulated
