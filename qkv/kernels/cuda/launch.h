// How kernels are started: on NVIDIA's device under nvcc, else by the emulated one (qkv/cuda/emulated), which runs the
// same source on the host. Kernels use CUDA C++'s own words; what differs between the two stands here.
#pragma once

#include "qkv/cuda/runtime.h"
#include "qkv/kernels/cuda/sizes.h"

#include <cstddef>
#include <cstdint>
#include <string>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include "qkv/cuda/emulated/words.h"
#endif

namespace qkv::kernels {

// Blocks in each direction.
struct Grid {
  int64_t x = 1, y = 1, z = 1;
};

inline constexpr int64_t most_blocks_x = 2147483647, most_blocks_yz = 65535;

// What a launch asked for.
template <typename... Arguments>
std::string told(Grid grid, int threads, size_t shared_bytes, const Arguments&... arguments) {
  std::string text;
  for (const std::string& sizes : {sizes_of(arguments)...}) text += sizes.empty() ? "" : sizes + "; ";
  return text + std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z) +
         " blocks of " + std::to_string(threads) + " threads, " + std::to_string(shared_bytes) + " bytes";
}

// Starts `threads` threads in each block of the grid, with `shared_bytes` of dynamic_shared() memory, on the device's
// stream. An empty grid does nothing. Throws Error, naming `op`, where the device refuses.
template <typename... Parameters, typename... Arguments>
void launch(const char* op, void (*kernel)(Parameters...), Grid grid, int threads, size_t shared_bytes,
            Arguments... arguments) {
  if (grid.x <= 0 || grid.y <= 0 || grid.z <= 0) return;
  constexpr int beyond = 9;  // cudaErrorInvalidConfiguration
  if (grid.x > most_blocks_x || grid.y > most_blocks_yz || grid.z > most_blocks_yz)
    cuda::refuse_launch(op, beyond, told(grid, threads, shared_bytes, arguments...));
#if defined(__CUDACC__)
  const auto stream = static_cast<cudaStream_t>(cuda::stream());  // first: it enters the thread's card
  constexpr size_t unasked = 48 << 10;                            // more must be asked for
  cudaError_t status = cudaSuccess;
  if (shared_bytes > unasked)
    status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  if (status == cudaSuccess) status = cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
  if (status != cudaSuccess) cuda::refuse_launch(op, status, told(grid, threads, shared_bytes, arguments...));
#else
  cuda::emulated::run(op, {static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)},
                      static_cast<unsigned>(threads), shared_bytes,
                      [=] { kernel(static_cast<Parameters>(arguments)...); });
#endif
}

// The memory that threads of a block share, of the size that launch() was given; aligned to 128 bytes.
template <typename T>
__device__ inline T* dynamic_shared() {
#if defined(__CUDACC__)
  extern __shared__ __align__(128) unsigned char qkv_dynamic_shared[];
  return reinterpret_cast<T*>(qkv_dynamic_shared);
#else
  return static_cast<T*>(cuda::emulated::shared_memory());
#endif
}

}  // namespace qkv::kernels
