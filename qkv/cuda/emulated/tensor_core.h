// What tensor_core.h needs of PTX, on the host. Fragments are spread over the lanes of a warp just as the PTX manual
// has it (section 9.7.14, "Warp-level matrix instructions"), and a copy that nobody has waited for has not happened.
#pragma once

#include "qkv/core/error.h"
#include "qkv/cuda/emulated/words.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace qkv::cuda::emulated {

// Register `which` of those that a lane shows.
inline uint32_t word_of(const std::byte* slots, unsigned lane, unsigned which) {
  uint32_t word = 0;
  std::memcpy(&word, slots + lane * largest_share + which * sizeof word, sizeof word);
  return word;
}

// The numbers of a pair of 16-bit ones.
template <typename T>
float lower_half(uint32_t pair) {
  return static_cast<float>(std::bit_cast<T>(static_cast<uint16_t>(pair)));
}
template <typename T>
float upper_half(uint32_t pair) {
  return static_cast<float>(std::bit_cast<T>(static_cast<uint16_t>(pair >> 16)));
}

// mma.m16n8k16.row.col.f32 of bf16 or f16: element (row, k) of A stands in lane (row % 8) * 4 + k % 8 / 2, register
// row / 8 + 2 (k / 8); element (k, column) of B in lane column * 4 + k % 8 / 2, register k / 8; the sums of rows
// lane / 4 and lane / 4 + 8, columns 2 (lane % 4) and the next, in each lane.
template <typename T>
void mma_m16n8k16(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t own[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const std::byte* slots = share_in_warp(0xffffffffU, own, sizeof own);
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    for (unsigned k = 0; k < 16; k += 2) {
      const uint32_t left = word_of(slots, row % 8 * 4 + k % 8 / 2, row / 8 + 2 * (k / 8));
      const uint32_t right = word_of(slots, column * 4 + k % 8 / 2, 4 + k / 8);
      sums[i] += lower_half<T>(left) * lower_half<T>(right) + upper_half<T>(left) * upper_half<T>(right);
    }
  }
}

// mma.m16n8k16.row.col.s32.s8: element (row, k) of A stands in lane (row % 8) * 4 + k / 4, register row / 8, byte k %
// 4; element (k, column) of B in lane column * 4 + k / 4, byte k % 4; sums as above.
inline void mma_m16n8k16(int32_t (&sums)[4], uint32_t a0, uint32_t a1, uint32_t b) {
  const uint32_t own[3] = {a0, a1, b};
  const std::byte* slots = share_in_warp(0xffffffffU, own, sizeof own);
  const auto number = [&](unsigned lane, unsigned which, unsigned byte) {
    return static_cast<int32_t>(static_cast<int8_t>(word_of(slots, lane, which) >> (8 * byte)));
  };
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    for (unsigned k = 0; k < 16; ++k)
      sums[i] += number(row % 8 * 4 + k / 4, row / 8, k % 4) * number(column * 4 + k / 4, 2, k % 4);
  }
}

// ldmatrix.x4: lane 8 m + r points to row r of matrix m, 8 elements of 16 bits. Register m of a lane gets elements
// 2 (lane % 4) and the next of row lane / 4 of matrix m; transposed, of its column lane / 4.
inline void ldmatrix_x4(uint32_t (&matrices)[4], const void* row, bool transposed) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw Error("ldmatrix", "a row is not aligned to 16 bytes");
  const std::byte* slots = share_in_warp(0xffffffffU, &row, sizeof row);
  const unsigned lane = threadIdx.x % 32;
  for (unsigned m = 0; m < 4; ++m) {
    uint16_t pair[2];
    for (unsigned i = 0; i < 2; ++i) {
      const unsigned r = transposed ? 2 * (lane % 4) + i : lane / 4;
      const unsigned c = transposed ? lane / 4 : 2 * (lane % 4) + i;
      const char* from = nullptr;
      std::memcpy(&from, slots + (8 * m + r) * largest_share, sizeof from);
      std::memcpy(&pair[i], from + c * sizeof(uint16_t), sizeof(uint16_t));
    }
    matrices[m] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
  }
}

// The copies that each thread of the running block has asked for, by groups; the last is still open.
struct Copy {
  void* to;
  const void* from;  // null: zeros
};
inline std::vector<std::vector<Copy>>& copies_of_thread() {
  static std::array<std::vector<std::vector<Copy>>, 1024> all;
  auto& own = all[threadIdx.x];
  if (own.empty()) own.emplace_back();
  return own;
}

inline void cp_async_16(void* to, const void* from, bool there) {
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || (there && reinterpret_cast<uintptr_t>(from) % 16 != 0))
    throw Error("cp.async", "an address is not aligned to 16 bytes");
  copies_of_thread().back().push_back({to, there ? from : nullptr});
}
inline void cp_async_commit() { copies_of_thread().emplace_back(); }
inline void cp_async_wait(size_t pending) {
  auto& groups = copies_of_thread();
  while (groups.size() > pending + 1) {
    for (const Copy& copy : groups.front()) {
      if (copy.from == nullptr) {
        std::memset(copy.to, 0, 16);
      } else {
        std::memcpy(copy.to, copy.from, 16);
      }
    }
    groups.erase(groups.begin());
  }
}

}  // namespace qkv::cuda::emulated
