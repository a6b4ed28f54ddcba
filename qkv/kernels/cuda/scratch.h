// The device's memory for what lives only within a call; the stream's order keeps it until the kernels are done.
#pragma once

#include "qkv/cuda/runtime.h"

namespace qkv::kernels {

template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : bytes_(static_cast<size_t>(count) * sizeof(T)), memory_(bytes_ == 0 ? nullptr : cuda::allocate(bytes_)) {}
  ~Scratch() {
    if (memory_ != nullptr) cuda::release(memory_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return static_cast<T*>(memory_); }

 private:
  size_t bytes_;
  void* memory_;
};

}  // namespace qkv::kernels
