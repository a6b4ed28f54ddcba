#include "qkv/io/stored_type.h"

#include <cstring>

namespace qkv {
namespace {

template <typename From, typename To>
void convert(const void* data, int64_t count, To* to) {
  const char* from = static_cast<const char*>(data);
  for (int64_t i = 0; i < count; ++i) {
    From value{};
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof value), sizeof value);
    to[i] = static_cast<To>(value);
  }
}

}  // namespace

int64_t size_of(StoredType type) {
  switch (type) {
    case StoredType::f64:
    case StoredType::i64:
      return 8;
    case StoredType::f32:
    case StoredType::i32:
      return 4;
    case StoredType::bf16:
    case StoredType::f16:
    case StoredType::i16:
      return 2;
    default:
      return 1;
  }
}

DType read_as(StoredType type) {
  switch (type) {
    case StoredType::f64:
    case StoredType::f32:
      return DType::f32;
    case StoredType::bf16:
      return DType::bf16;
    case StoredType::f16:
      return DType::f16;
    case StoredType::i64:
      return DType::i64;
    case StoredType::i32:
    case StoredType::i16:
    case StoredType::i8:
      return DType::i32;
    case StoredType::u8:
      return DType::u8;
    case StoredType::boolean:
      return DType::boolean;
  }
  return DType::f32;
}

Tensor converted(const void* data, int64_t count, StoredType type) {
  Tensor tensor = Tensor::empty({count}, read_as(type));
  if (type == StoredType::f64) {
    convert<double>(data, count, tensor.data<float>());
  } else if (type == StoredType::i16) {
    convert<int16_t>(data, count, tensor.data<int32_t>());
  } else if (type == StoredType::i8) {
    convert<int8_t>(data, count, tensor.data<int32_t>());
  } else if (count > 0) {
    std::memcpy(tensor.raw(), data, static_cast<size_t>(count * size_of(type)));
  }
  return tensor;
}

}  // namespace qkv
