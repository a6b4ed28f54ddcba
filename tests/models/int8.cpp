// Models whose matrices are 8-bit integers (LLM.int8()).
#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/ops/autograd.h"
#include "tests/models/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

constexpr Sizes sizes{.vocab = 29, .context = 16, .layers = 2, .heads = 4, .width = 64};

// Norms make one column of what matrices read some sixty times as large as the others, as large models do by
// themselves.
std::unique_ptr<Model> model_with_an_outlier() {
  auto model = std::make_unique<Model>(spec_of(Config(family_named("llama", "test").config(sizes), "test")));
  model->initialise(RandomKey{3});
  model->visit([](const std::string& name, Tensor& value, Role) {
    if (name.find(".norm") != std::string::npos) value.data<float>()[5] = 60;
  });
  return model;
}

std::vector<float> scores_of(Model& model) {
  const NoGrad no_grad;
  return model.outputs({.input_ids = ids_of({3, 1, 4, 1, 5, 9, 2, 6})}, {})[0].second.to_vector<float>();
}

TEST(Int8, ColumnsOfOutliersKeepTheirDigits) {
  const std::vector<float> want = scores_of(*model_with_an_outlier());
  const auto error_of = [&](const PackOptions& options) {
    const std::unique_ptr<Model> model = model_with_an_outlier();
    model->pack(options);
    const std::vector<float> got = scores_of(*model);
    double error = 0, largest = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      error = std::max(error, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
      largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    }
    return error / largest;
  };
  const double rounded = error_of({.int8 = true}), apart = error_of({.int8 = true, .outlier = 6});
  EXPECT_GT(rounded, 0);
  EXPECT_LT(rounded, 0.5);
  EXPECT_LT(apart, 0.03);
  EXPECT_LT(apart, rounded / 3);
}

}  // namespace
}  // namespace qkv
