// What optimizers make of bf16 copies that are rounded at random.
#pragma once

#include "qkv/core/random.h"
#include "qkv/kernels/kernels.h"
#include "qkv/tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace qkv {

// Every optimizer of the set, whose work `wait` waits for: each copy is what bf16_at_random() makes of the new
// parameter with the hash of its place, also where threads share a tensor.
inline void expect_rounded_at_random(const kernels::KernelSet& set, const std::function<void()>& wait) {
  constexpr int64_t count = 70'003;
  constexpr uint32_t rounding = 77;
  const Tensor now = Tensor::empty({4});
  *static_cast<kernels::StepNumbers*>(now.raw()) = {.lr = 0.01F, .correction1 = 0.5F, .correction2 = 0.5F, .word = 991};
  const auto* numbers = static_cast<const kernels::StepNumbers*>(now.raw());
  for (const int which : {0, 1, 2}) {
    Random draw(RandomKey{3});
    const Tensor p = Tensor::empty({count}), g = Tensor::empty({count});
    for (int64_t i = 0; i < count; ++i) {
      p.data<float>()[i] = static_cast<float>(draw.normal());
      g.data<float>()[i] = static_cast<float>(draw.normal());
    }
    const Tensor m = Tensor::zeros({count}), v = Tensor::zeros({count}), half = Tensor::zeros({count}, DType::bf16);
    const kernels::OptimizerTensor one{count,           p.data<float>(),   g.data<float>(), m.data<float>(),
                                       v.data<float>(), half.data<bf16>(), rounding};
    if (which == 0) set.adamw({&one, 1}, {.now = numbers});
    if (which == 1) set.lion({&one, 1}, {.now = numbers});
    if (which == 2) set.sgd({&one, 1}, {.now = numbers, .momentum = 0.9F});
    wait();
    double error = 0;  // in steps of bf16, which is at random, and so next to nothing in the mean
    for (int64_t i = 0; i < count; ++i) {
      const float x = p.data<float>()[i];
      ASSERT_EQ(half.data<bf16>()[i].bits,
                bf16_at_random(x, dropout_hash(rounding ^ numbers->word, static_cast<uint32_t>(i))))
          << set.name << " " << which << " " << i;
      error += (static_cast<double>(static_cast<float>(half.data<bf16>()[i])) - x) / (std::abs(x) / 128);
    }
    EXPECT_LT(std::abs(error / count), 0.005) << set.name;
  }
}

}  // namespace qkv
