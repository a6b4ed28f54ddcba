// Sums over rows with several threads, the same every time: each part of the rows has its own sums, added in order.
#pragma once

#include "qkv/core/threads.h"

#include <algorithm>
#include <vector>

namespace qkv::kernels::cpu_set {

class PartialRows {
 public:
  // `width` sums over `rows` rows, in parts of at least `grain` rows.
  PartialRows(int64_t rows, int64_t grain, int64_t width)
      : rows_(rows),
        parts_(std::clamp<int64_t>(rows / std::max<int64_t>(1, grain), 1, threads())),
        width_(width),
        sums_(static_cast<size_t>(parts_ * width), 0.0F) {}

  // body(begin, end, sums) adds its rows to sums[width], which starts at zero.
  template <typename Body>
  void run(const Body& body) {
    parallel_for(parts_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part)
        body(rows_ * part / parts_, rows_ * (part + 1) / parts_, sums_.data() + part * width_);
    });
  }

  // out[j] = the sum at `offset` + j (+ out[j] when accumulate), for j < count; nothing when out is null.
  void add_to(float* out, int64_t offset, int64_t count, bool accumulate) const {
    for (int64_t j = 0; j < count && out != nullptr; ++j) {
      float sum = accumulate ? out[j] : 0;
      for (int64_t part = 0; part < parts_; ++part) sum += sums_[static_cast<size_t>(part * width_ + offset + j)];
      out[j] = sum;
    }
  }

 private:
  int64_t rows_;
  int64_t parts_;
  int64_t width_;
  std::vector<float> sums_;
};

}  // namespace qkv::kernels::cpu_set
