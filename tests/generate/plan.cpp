// What a card can do at most, by hand.
#include "qkv/generate/plan.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(Plan, OfACardIsBoundByBytesOrByProducts) {
  ModelPlan plan;
  plan.token = {.flops = 2e9, .bytes = 2e9};
  plan.prompt_token = {.flops = 2e9, .bytes = 4e6};
  const cuda::CardRates rates{.half = 1e15, .tf32 = 5e14, .f32 = 6e13, .bandwidth = 3e12};
  const std::optional<Prediction> in_half = most_on_card(plan, {.compute = DType::bf16}, rates);
  ASSERT_TRUE(in_half);
  EXPECT_DOUBLE_EQ(in_half->tokens_a_second, 1500) << "bytes";
  EXPECT_DOUBLE_EQ(in_half->prompt_tokens_a_second, 5e5) << "products";
  const std::optional<Prediction> in_f32 = most_on_card(plan, {.compute = DType::f32}, rates);
  ASSERT_TRUE(in_f32);
  EXPECT_DOUBLE_EQ(in_f32->prompt_tokens_a_second, 3e4);
  EXPECT_FALSE(most_on_card(plan, {.compute = DType::bf16}, {.bandwidth = 3e12})) << "a card that is not known";
}

}  // namespace
}  // namespace qkv
