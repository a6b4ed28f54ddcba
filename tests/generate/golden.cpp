// Every golden case: outputs, hidden states, attention patterns, loss, gradients and generation against the reference
// library's numbers.
#include "qkv/generate/golden.h"

#include "qkv/ops/check.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

const fs::path golden = fs::path(QKV_SOURCE_DIR) / "tests/golden/models";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, OutputsAndGradients) {
  const std::vector<GoldenResult> results = compare_with_golden(golden / GetParam(), DType::f32);
  const bool headless = GetParam().ends_with("_bare") || GetParam().ends_with("_encoder");  // and so without gradients
  EXPECT_GE(results.size(), headless ? 6U : 20U);
  for (const GoldenResult& result : results)
    EXPECT_TRUE(result.passed()) << result.name << " " << result.error << " " << result.note;
}

TEST_P(Golden, Generation) {
  for (const GoldenResult& result : compare_generation(golden / GetParam()))
    EXPECT_TRUE(result.passed()) << result.name << " " << result.note;
}

TEST_P(Golden, HalfPrecisionStaysNear) {
  const StackSpec stack = load_model(golden / GetParam()).model->spec().stack;
  if (stack.experts() != nullptr || stack.block.chunked_attention)
    GTEST_SKIP() << "a router's or a hash's choice between near equals may turn";
  for (const DType type : {DType::bf16, DType::f16}) {
    if (!computes_in(type, default_device())) continue;
    for (const GoldenResult& result : compare_with_golden(golden / GetParam(), type)) {
      // A key projection's bias has no gradient but rounding.
      if (result.name.find(".key.bias") != std::string::npos || result.name.starts_with("grad.")) continue;
      EXPECT_TRUE(result.passed()) << name_of(type) << " " << result.name << " " << result.error;
    }
  }
}

TEST_P(Golden, SavedModelsLoadBackTheSame) {
  const fs::path copy = fs::path(testing::TempDir()) / ("qkv-saved-" + GetParam());
  fs::remove_all(copy);
  fs::create_directories(copy);
  LoadedModel loaded = load_model(golden / GetParam());
  save_model(copy, loaded.config, *loaded.model);
  for (const char* file : {"golden.json", "golden.safetensors"}) fs::copy_file(golden / GetParam() / file, copy / file);
  for (const GoldenResult& result : compare_with_golden(copy, DType::f32)) EXPECT_TRUE(result.passed()) << result.name;
  fs::remove_all(copy);
}

// What tests/golden/make_decoding.py recorded of the library's last version with these searches.
TEST(GoldenDecoding, GroupsOfBeamsAndContrastiveSearch) {
  for (const char* name : {"gpt2", "t5"}) {
    const std::vector<GoldenResult> results = compare_generation(golden.parent_path() / "decoding" / name);
    EXPECT_EQ(results.size(), 8U);
    for (const GoldenResult& result : results)
      EXPECT_TRUE(result.passed()) << name << " " << result.name << " " << result.error << " " << result.note;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(cases()), [](const auto& each) { return each.param; });

}  // namespace
}  // namespace qkv
