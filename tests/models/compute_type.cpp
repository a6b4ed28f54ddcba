// The type that a model computes in where nobody chooses one.
#include "qkv/models/compute_type.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(ComputeType, IsWhatTheFileHoldsWhereTheDeviceMultipliesIt) {
  const auto type = [](const Json& json, Device device = {}) { return compute_type(Config(json, "config"), device); };
  const Device card{Device::Type::cuda, 0};
  EXPECT_EQ(type({{"dtype", "bfloat16"}}), DType::bf16);
  EXPECT_EQ(type({{"torch_dtype", "bfloat16"}}), DType::bf16);
  EXPECT_EQ(type({{"dtype", "float32"}, {"torch_dtype", "bfloat16"}}), DType::f32);
  EXPECT_EQ(type({{"dtype", "float16"}}), DType::f32);
  EXPECT_EQ(type({{"dtype", "float16"}}, card), DType::f16);
  EXPECT_EQ(type({{"dtype", "float64"}}, card), DType::f32);
  EXPECT_EQ(type({{"dtype", nullptr}}), DType::f32);
  EXPECT_EQ(type(Json::object()), DType::f32);
}

TEST(ComputeType, IsWhatIsNamed) {
  const Config config({{"dtype", "bfloat16"}}, "config");
  EXPECT_EQ(compute_type_named("auto", config), DType::bf16);
  EXPECT_EQ(compute_type_named("f32", config), DType::f32);
}

}  // namespace
}  // namespace qkv
