#include "qkv/tensor/shape.h"

#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {

Shape::Shape(std::span<const int64_t> sizes) {
  if (sizes.size() > max_rank)
    throw Error("shape", fmt::format("{} dimensions; at most {} are supported", sizes.size(), max_rank));
  for (const int64_t size : sizes) {
    if (size < 0) throw Error("shape", fmt::format("negative size {}", size));
    sizes_[static_cast<size_t>(rank_++)] = size;
  }
}

int64_t Shape::numel() const {
  int64_t product = 1;
  for (const int64_t size : *this)
    if (__builtin_mul_overflow(product, size, &product))
      throw Error("shape", to_string(*this) + " has too many elements");
  return product;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace qkv
