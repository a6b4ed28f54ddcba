// The weights that a reader gives are those of the recorded runs of the reference library.
#include "qkv/core/error.h"
#include "qkv/io/safetensors.h"
#include "qkv/tasks/attend.h"
#include "tests/tasks/tiny_model.h"

namespace qkv {
namespace {

// Every row of the golden run that is not padded.
void expect_golden(const std::string& name) {
  const TinyModel model(name);
  const AttentionReader reader(model.path);
  const Safetensors golden(fs::path(QKV_SOURCE_DIR) / "tests/golden/models" / name / "golden.safetensors");
  const Tensor ids = golden.get("input_ids");
  const std::vector<int64_t> all = ids.to_vector<int64_t>();
  const int64_t T = ids.size(1);
  const std::vector<int32_t> row(all.begin(), all.begin() + T);
  for (const int64_t position : {int64_t{0}, T / 2, T - 1}) {
    const std::vector<LayerAttention> layers = reader.read(row, position);
    ASSERT_FALSE(layers.empty());
    for (const LayerAttention& layer : layers) {
      const Tensor pattern = golden.get(fmt::format("attentions.{}", layer.layer));
      ASSERT_EQ(std::ssize(layer.heads), pattern.size(1));
      for (int64_t h = 0; h < pattern.size(1); ++h) {
        const std::vector<float>& weights = layer.heads[static_cast<size_t>(h)];
        for (int64_t key = 0; key < T; ++key) {
          const float expected = pattern.data<float>()[(h * T + position) * T + key];
          const float got = key < std::ssize(weights) ? weights[static_cast<size_t>(key)] : 0;
          EXPECT_NEAR(got, expected, 1e-5) << name << " layer " << layer.layer << " head " << h << " " << position;
        }
      }
    }
    const std::vector<LayerAttention> one = reader.read(row, position, 1);
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].heads, layers[1].heads);
  }
}

TEST(Attend, WeightsAreTheGoldenOnes) {
  for (const char* name : {"gpt2", "llama", "mistral", "bloom", "gemma2", "distilbert_masked_lm",
                           "modernbert_masked_lm", "deberta_v2_masked_lm"})
    expect_golden(name);
}

TEST(Attend, WhatCannotBeShownIsRefused) {
  const TinyModel model("llama");
  const AttentionReader reader(model.path);
  const std::vector<int32_t> ids = {5, 6, 7};
  EXPECT_THROW(reader.read(ids, 3), Error);
  EXPECT_THROW(reader.read(ids, -1), Error);
  EXPECT_THROW(reader.read(ids, 0, 99), Error);
  EXPECT_THROW(reader.read(std::vector<int32_t>{5, 1 << 20}, 1), Error);
  EXPECT_THROW(reader.read(std::vector<int32_t>(100000, 5), 1), Error);
  EXPECT_THROW(reader.read({}, 0), Error);
  const TinyModel mamba("mamba"), longformer("longformer_masked_lm");
  EXPECT_THROW(AttentionReader(mamba.path), Error);
  EXPECT_THROW(AttentionReader(longformer.path), Error);
}

}  // namespace
}  // namespace qkv
