// Numbers of every type inside kernels: arithmetic is f32, what memory holds may be bf16 or f16.
#pragma once

#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/launch.h"
#include "qkv/tensor/dtype.h"

#include <initializer_list>
#include <type_traits>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace qkv::kernels {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) {
#if defined(__CUDACC__)
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
#else
  return static_cast<float>(x);
#endif
}
__device__ inline float to_float(f16 x) {
#if defined(__CUDACC__)
  return __half2float(__ushort_as_half(x.bits));
#else
  return static_cast<float>(x);
#endif
}

// Rounds to the nearest number of type T, half-way cases to the even one.
template <typename T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 from_float<bf16>(float x) {
#if defined(__CUDACC__)
  bf16 result;
  result.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
  return result;
#else
  return bf16(x);
#endif
}
template <>
__device__ inline f16 from_float<f16>(float x) {
#if defined(__CUDACC__)
  f16 result;
  result.bits = __half_as_ushort(__float2half_rn(x));
  return result;
#else
  return f16(x);
#endif
}

// The elements of a compute type that fit in 16 bytes, the most that a thread reads at once.
template <typename T>
inline constexpr int vector_count = 16 / static_cast<int>(sizeof(T));

// Neighbours that are read or written at once, or, beyond 16 bytes, in few steps.
template <typename T, int count = vector_count<T>>
struct alignas(sizeof(T) * count < 16 ? sizeof(T) * count : 16) Vector {
  T at[count];
};
template <int count, typename T>
__device__ inline Vector<T, count> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, count>*>(from);
}
template <int count, typename T>
__device__ inline void store_vector(T* to, const Vector<T, count>& values) {
  *reinterpret_cast<Vector<T, count>*>(to) = values;
}

template <typename T>
inline constexpr DType type_of = std::is_same_v<T, bf16>  ? DType::bf16
                                 : std::is_same_v<T, f16> ? DType::f16
                                                          : DType::f32;

// Whether vectors of a compute type may be read at every multiple of `step` elements behind the pointers; null ones do
// not count.
inline bool vectors_at(DType type, int64_t step, std::initializer_list<const void*> pointers) {
  for (const void* pointer : pointers)
    if (reinterpret_cast<uintptr_t>(pointer) % 16 != 0) return false;
  return step % (type == DType::f32 ? vector_count<float> : vector_count<bf16>) == 0;
}

// Number i of an array of a compute type that is known when the kernel runs: for what is read or written once.
__device__ inline float load_number(const void* from, DType type, int64_t i) {
  if (type == DType::bf16) return to_float(static_cast<const bf16*>(from)[i]);
  if (type == DType::f16) return to_float(static_cast<const f16*>(from)[i]);
  return static_cast<const float*>(from)[i];
}
__device__ inline void store_number(void* to, DType type, int64_t i, float value) {
  if (type == DType::bf16) {
    static_cast<bf16*>(to)[i] = from_float<bf16>(value);
  } else if (type == DType::f16) {
    static_cast<f16*>(to)[i] = from_float<f16>(value);
  } else {
    static_cast<float*>(to)[i] = value;
  }
}

// Calls body(T()) with the type of the compute type.
template <typename Body>
void with_type(DType type, Body&& body) {
  if (type == DType::bf16) {
    body(bf16());
  } else if (type == DType::f16) {
    body(f16());
  } else {
    body(float());
  }
}

// Whether arrays of both types may stand in one call: bf16 and f16 do not meet.
template <typename A, typename B>
inline constexpr bool go_together = std::is_same_v<A, B> || std::is_same_v<A, float> || std::is_same_v<B, float>;

[[noreturn]] inline void refuse_mixture(const char* op) {
  cuda_set::refuse(op, "there is no kernel for bf16 beside f16");
}

// Calls body(A(), B()) with the types of two compute types. Throws Error, naming `op`, where they do not go together.
template <typename Body>
void with_types(const char* op, DType a, DType b, Body&& body) {
  with_type(a, [&]<typename A>(A) {
    with_type(b, [&]<typename B>(B) {
      if constexpr (go_together<A, B>) {
        body(A(), B());
      } else {
        refuse_mixture(op);
      }
    });
  });
}

}  // namespace qkv::kernels
