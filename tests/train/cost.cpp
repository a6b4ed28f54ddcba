// What a token costs, by hand.
#include "qkv/train/cost.h"

#include "qkv/cuda/runtime.h"
#include "tests/train/tiny.h"

namespace qkv {
namespace {

TEST(Cost, OfATokenIsThatOfWhatItIsMultipliedBy) {
  const std::unique_ptr<Model> model = tiny_model();
  // Two layers of 12 width^2; the embedding of 13 tokens is the head too; scores of 8 positions.
  const double blocks = 2 * 12 * 16 * 16, head = 13 * 16, attention = 6 * 2 * 8 * 16;
  const auto flops = [&](double scored) {
    return training_cost(*model, 1, 8, DType::f32, 2, false, scored).flops_per_token;
  };
  EXPECT_DOUBLE_EQ(flops(1), 6 * (blocks + head) + attention);
  EXPECT_DOUBLE_EQ(flops(scored_part(0.25)), 6 * (blocks + head / 4) + attention);
  EXPECT_DOUBLE_EQ(flops(scored_part(0.75)), flops(1));
}

TEST(Cost, OnADeviceThatIsNotKnownHasNoPeak) {
  if (default_device().type != Device::Type::cuda || cuda::devices()[0].name != "emulated")
    GTEST_SKIP() << "this one is known";
  EXPECT_EQ(peak_of(default_device(), DType::bf16), 0);
}

}  // namespace
}  // namespace qkv
