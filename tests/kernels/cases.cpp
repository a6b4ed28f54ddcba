// The fast kernels against the reference, on the whole table and for every instruction set that is compiled in.
#include "tests/kernels/compare.h"
#include "tests/kernels/rounding.h"

#include "qkv/kernels/cpu/instruction_sets.h"

#include <cmath>
#include <map>
#include <string>

namespace qkv {
namespace {

using namespace kernels::cpu_set;

TEST(Kernels, EveryInstructionSetAgreesWithTheReference) {
  const std::vector<KernelCase> cases = kernel_cases();
  std::vector<std::vector<Tensor>> expected;
  for (const KernelCase& one : cases)
    expected.push_back(one.large ? std::vector<Tensor>() : one.result(kernels::reference()));
  for (const InstructionSet set : instruction_sets()) {
    SCOPED_TRACE(name_of(set));
    choose_instruction_set(set);
    for (size_t i = 0; i < cases.size(); ++i)
      if (!cases[i].large) expect_same(cases[i], cases[i].result(kernels::cpu()), expected[i]);
  }
  choose_instruction_set(instruction_sets().front());
}

TEST(Kernels, LargeOnesAgreeToo) {
#if defined(QKV_SANITIZED)
  GTEST_SKIP() << "the plain loops would take minutes here, and small cases go through the same lines";
#endif
  for (const KernelCase& one : kernel_cases()) {
    // The reference takes minutes for the largest products; a bounded share of the table is enough.
    if (one.large && one.flops < 3e8) expect_same(one, one.result(kernels::cpu()), one.result(kernels::reference()));
  }
}

TEST(Kernels, RepeatedCallsGiveTheSameBits) {
  for (const KernelCase& one : kernel_cases()) {
    const std::vector<Tensor> first = one.result(kernels::cpu());
    expect_same_bits(one, first, one.result(kernels::cpu()));
  }
}

TEST(Kernels, BlocksGiveWhereTheyLieTheBitsThatTheyGivePacked) {
  const std::string ending = " in blocks";
  for (const InstructionSet set : instruction_sets()) {
    SCOPED_TRACE(name_of(set));
    choose_instruction_set(set);
    std::map<std::string, std::vector<Tensor>> packed;
    int compared = 0;
    for (const KernelCase& one : kernel_cases()) {
      if (one.large || !one.name.starts_with("packed_gemm")) continue;
      if (!one.name.ends_with(ending)) {
        packed[one.name] = one.result(kernels::cpu());
      } else {
        const auto same = packed.find(one.name.substr(0, one.name.size() - ending.size()));
        ASSERT_NE(same, packed.end()) << one.name;
        expect_same_bits(one, one.result(kernels::cpu()), same->second);
        ++compared;
      }
    }
    EXPECT_GT(compared, 50);
  }
  choose_instruction_set(instruction_sets().front());
}

TEST(Kernels, ReferenceOnHandComputedValues) {
  const kernels::KernelSet& set = kernels::reference();
  // [1 2; 3 4] [5 6; 7 8] = [19 22; 43 50]
  const Tensor a = Tensor::from<float>({2, 2}, {1, 2, 3, 4}), b = Tensor::from<float>({2, 2}, {5, 6, 7, 8}),
               c = Tensor::zeros({2, 2});
  set.gemm({.m = 2, .n = 2, .k = 2, .a = a.raw(), .lda = 2, .b = b.raw(), .ldb = 2, .c = c.raw(), .ldc = 2});
  EXPECT_EQ(c.to_vector<float>(), (std::vector<float>{19, 22, 43, 50}));
  // Two classes with equal logits: loss ln 2, gradient -1/2 and 1/2.
  const Tensor logits = Tensor::zeros({1, 2}), loss = Tensor::zeros({1}), target = Tensor::from<int32_t>({1}, {0});
  set.cross_entropy({.rows = 1,
                     .vocab = 2,
                     .logits = logits.raw(),
                     .ld = 2,
                     .targets = target.data<int32_t>(),
                     .loss = loss.data<float>(),
                     .dlogits = logits.raw()});
  EXPECT_NEAR(loss.item(), std::log(2.0), 1e-6);
  EXPECT_EQ(logits.to_vector<float>(), (std::vector<float>{-0.5F, 0.5F}));
  // Layer norm of (1, 3): mean 2, deviation 1.
  const Tensor x = Tensor::from<float>({1, 2}, {1, 3}), ones = Tensor::from<float>({2}, {1, 1}),
               y = Tensor::zeros({1, 2});
  set.norm({.rows = 1, .width = 2, .x = x.raw(), .weight = ones.data<float>(), .y = y.raw()});
  EXPECT_NEAR(y.to_vector<float>()[0], -1, 1e-6);
  EXPECT_NEAR(y.to_vector<float>()[1], 1, 1e-6);
  // AdamW's first step moves by lr against the gradient's sign, after decay: 1 (1 - 0.1 * 0.5) - 0.1 = 0.85.
  Tensor p = Tensor::from<float>({1}, {1}), g = Tensor::from<float>({1}, {4}), m = Tensor::zeros({1}),
         v = Tensor::zeros({1});
  const kernels::OptimizerTensor one{1, p.data<float>(), g.data<float>(), m.data<float>(), v.data<float>(), nullptr};
  const kernels::StepNumbers now{.lr = 0.1F, .correction1 = 0.1F, .correction2 = 0.001F};
  set.adamw({&one, 1}, {.now = &now, .weight_decay = 0.5F});
  EXPECT_NEAR(p.item(), 0.85, 1e-6);
}

TEST(Kernels, CopiesAreRoundedAtRandomWhereThatIsAsked) {
  expect_rounded_at_random(kernels::reference(), [] {});
  for (const InstructionSet set : instruction_sets()) {
    choose_instruction_set(set);
    expect_rounded_at_random(kernels::cpu(), [] {});
  }
  choose_instruction_set(instruction_sets().front());
}

TEST(Kernels, WhatIsInheritedIsNamed) {
  const kernels::KernelSet& fast = kernels::cpu();
  EXPECT_EQ(fast.attention_pattern, kernels::reference().attention_pattern);
  EXPECT_EQ(fast.inherited, (std::vector<std::string_view>{"attention_pattern"}));
  EXPECT_NE(fast.attention, kernels::reference().attention);
}

}  // namespace
}  // namespace qkv
