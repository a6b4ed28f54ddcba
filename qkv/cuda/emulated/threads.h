// How the emulated device runs a kernel: the blocks of the grid one after another, in a shuffled order, and within a
// block each thread on a stack of its own, in a shuffled order from one barrier to the next. A kernel whose result
// depends on either order gives other bits under another seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace qkv::cuda::emulated {

struct Place {
  unsigned x = 0, y = 0, z = 0;
};

// Where the running thread stands: what kernels call threadIdx, blockIdx, blockDim and gridDim.
extern Place thread_place, block_place, block_size, grid_size;

// Runs `kernel` for every thread of grid.x * grid.y * grid.z blocks. Throws Error where threads of a block, or lanes of
// a warp, wait for others that never come. While this thread records, what `kernel` holds is kept for replays.
void run(const char* op, Place grid, unsigned threads, size_t shared_bytes, const std::function<void()>& kernel);

// The orders of blocks and threads follow from it.
void set_seed(uint64_t seed);

// For threads of a running kernel.
void wait_for_block();
void* shared_memory();
// What every lane of a warp shows the others: lane i's bytes stand at result + i * largest_share, until the lane that
// asks calls it again. All lanes of the mask must call it.
inline constexpr size_t largest_share = 64;
const std::byte* share_in_warp(uint32_t mask, const void* data, size_t bytes);

}  // namespace qkv::cuda::emulated
