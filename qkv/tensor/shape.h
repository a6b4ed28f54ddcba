// Sizes of a tensor's dimensions, outermost first.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace qkv {

// Up to six dimensions, kept in place: no allocation per tensor. Rank 0 is a scalar of one element.
class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);  // throws Error for a negative size or too many dimensions

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return sizes_[static_cast<size_t>(i < 0 ? i + rank_ : i)]; }
  void set(int i, int64_t size) { sizes_[static_cast<size_t>(i < 0 ? i + rank_ : i)] = size; }
  int64_t numel() const;  // product of the sizes; throws Error on overflow
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

std::string to_string(const Shape& shape);  // "[2, 3]"

}  // namespace qkv
