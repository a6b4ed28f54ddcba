// Results of a kernel against those of the reference.
#pragma once

#include "bench/kernel_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace qkv {

inline void expect_same(const KernelCase& one, const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const std::vector<double> g = got[i].to_vector<double>();
    const std::vector<double> w = want[i].to_vector<double>();
    double largest = 1e-2;  // gradients that are zero but for rounding
    double difference = 0;
    for (size_t j = 0; j < w.size(); ++j) {
      largest = std::max(largest, std::abs(w[j]));
      difference = std::isnan(g[j]) ? INFINITY : std::max(difference, std::abs(g[j] - w[j]));
    }
    EXPECT_LE(difference / largest, one.tolerance) << one.name << ", result " << i;
  }
}

inline void expect_same_bits(const KernelCase& one, const std::vector<Tensor>& first,
                             const std::vector<Tensor>& second) {
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_EQ(
        std::memcmp(first[i].raw(), second[i].raw(), static_cast<size_t>(first[i].numel() * size_of(first[i].dtype()))),
        0)
        << one.name;
}

}  // namespace qkv
