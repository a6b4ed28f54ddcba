// Element types of files, of which tensors here have only some: the others are converted when they are read.
#pragma once

#include "qkv/tensor/tensor.h"

#include <cstdint>

namespace qkv {

enum class StoredType : uint8_t { f64, f32, bf16, f16, i64, i32, i16, i8, u8, boolean };

int64_t size_of(StoredType type);  // bytes an element

// What a tensor read from it has: f32 for f64 (rounded), i32 for i16 and i8, else the same.
DType read_as(StoredType type);

// `count` elements at `data`, of any alignment, as a new tensor [count] of that dtype.
Tensor converted(const void* data, int64_t count, StoredType type);

}  // namespace qkv
