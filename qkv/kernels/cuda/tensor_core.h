// Tensor cores, and copies into shared memory that run beside the kernel: instructions of PTX that CUDA C++ has no
// words for, of compute capability 8.0. All lanes of a warp call those together that spread matrices over them.
#pragma once

#include "qkv/kernels/cuda/number.h"

#if !defined(__CUDACC__)
#include "qkv/cuda/emulated/tensor_core.h"
#endif

namespace qkv::kernels {

// sums[16, 8] += A[16, 16] B[16, 8] of T, bf16 or f16; sums in f32. The lane's part of each, g = lane / 4, i = 2 (lane
// % 4): sums: rows g (the first two) and g + 8, columns i and i + 1; a: columns i, i + 1 of rows g and g + 8, then the
// same of columns i + 8, i + 9; b0, b1: of column g, rows i, i + 1, and i + 8, i + 9.
template <typename T>
__device__ inline void mma_m16n8k16(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(__CUDACC__)
  if constexpr (std::is_same_v<T, bf16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
#else
  cuda::emulated::mma_m16n8k16<T>(sums, a, b0, b1);
#endif
}

// sums[16, 8] += A[16, 16] B[16, 8] of 8-bit integers, four a word, the first lowest. With g and i as above: sums stand
// alike; a0 and a1: columns 2 i to 2 i + 3 of rows g and g + 8; b: the same rows of column g.
__device__ inline void mma_m16n8k16(int32_t (&sums)[4], uint32_t a0, uint32_t a1, uint32_t b) {
#if defined(__CUDACC__)
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
               : "r"(a0), "r"(a1), "r"(b));
#else
  cuda::emulated::mma_m16n8k16(sums, a0, a1, b);
#endif
}

#if defined(__CUDACC__)
__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
#endif

// Four 8 x 8 matrices of 16-bit numbers out of shared memory: lane 8 m + r gives the address of row r of matrix m,
// aligned to 16 bytes; matrices[m] receives elements i and i + 1 of row g.
__device__ inline void ldmatrix_x4(uint32_t (&matrices)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row)));
#else
  cuda::emulated::ldmatrix_x4(matrices, row, false);
#endif
}

// The same of the transposed matrices.
__device__ inline void ldmatrix_x4_transposed(uint32_t (&matrices)[4], const void* row) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row)));
#else
  cuda::emulated::ldmatrix_x4(matrices, row, true);
#endif
}

// Two numbers as the pair of T that fragments hold, the first in the lower half.
template <typename T>
__device__ inline uint32_t pair_of(float first, float second) {
  return from_float<T>(first).bits | static_cast<uint32_t>(from_float<T>(second).bits) << 16;
}

// Begins to copy 16 bytes to shared memory, zeros where they are not there; both addresses are aligned to 16 bytes.
__device__ inline void cp_async_16(void* to, const void* from, bool there) {
#if defined(__CUDACC__)
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0)
               : "memory");
#else
  cuda::emulated::cp_async_16(to, from, there);
#endif
}

// Closes the group of the copies that the thread has begun.
__device__ inline void cp_async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  cuda::emulated::cp_async_commit();
#endif
}

// Waits until all but the last `pending` of the thread's groups are there; other threads see them after a barrier.
template <int pending>
__device__ inline void cp_async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#else
  cuda::emulated::cp_async_wait(pending);
#endif
}

}  // namespace qkv::kernels
