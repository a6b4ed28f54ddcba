// Models that remember segments.
#include "qkv/core/error.h"
#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"
#include "tests/models/ids.h"

#include <cmath>

namespace qkv {
namespace {

TEST(Past, SegmentsWithTheirMemoryEqualTheWholeText) {
  const Sizes sizes{.vocab = 29, .context = 6, .layers = 2, .heads = 2, .width = 16};
  for (const bool pre_norm : {false, true}) {
    Json json = family_named("transfo-xl", "test").config(sizes);
    json["pre_lnorm"] = pre_norm;
    Model model(spec_of(Config(json, "test")));
    model.initialise(RandomKey{5});
    model.to(default_device());
    const NoGrad no_grad;
    const std::vector<int32_t> text = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
    const std::vector<float> whole = model.outputs({.input_ids = ids_of(text)}, {})[0].second.to_vector<float>();
    Past past;
    std::vector<float> pieces;
    for (const auto& [begin, end] : {std::pair{0, 5}, {5, 6}, {6, 12}}) {
      const std::vector<int32_t> piece(text.begin() + begin, text.begin() + end);
      const auto scores = model.outputs({.input_ids = ids_of(piece)}, {.past = &past})[0].second.to_vector<float>();
      pieces.insert(pieces.end(), scores.begin(), scores.end());
      ASSERT_EQ(past.states.size(), 2U);
      EXPECT_EQ(past.states[0].size(1), 6);
    }
    ASSERT_EQ(pieces.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(pieces[i], whole[i], 1e-5) << i;
  }
}

TEST(Past, QueriesDoNotSeeTheirOwnToken) {
  const Sizes sizes{.vocab = 29, .context = 6, .layers = 2, .heads = 2, .width = 16};
  Model model(spec_of(Config(family_named("xlnet", "test").config(sizes), "test")));
  model.initialise(RandomKey{5});
  model.to(default_device());
  const NoGrad no_grad;
  // Position 2 comes last: it sees the others, and nobody sees it.
  const Tensor hidden = Tensor::from<uint8_t>({1, 4, 4}, {0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0});
  const auto scores = [&](const std::vector<int32_t>& ids) {
    return model
        .outputs({.input_ids = ids_of(ids), .hidden_pairs = hidden, .targets = Tensor::from<int32_t>({1, 1}, {2})},
                 {})[0]
        .second.to_vector<float>();
  };
  EXPECT_EQ(scores({1, 2, 3, 4}), scores({1, 2, 9, 4}));
  EXPECT_NE(scores({1, 2, 3, 4}), scores({1, 7, 3, 4}));
  EXPECT_THROW(model.outputs({.input_ids = ids_of({1, 2}), .targets = Tensor::from<int32_t>({1, 1}, {3})}, {}), Error);
}

}  // namespace
}  // namespace qkv
