// Tasks on encoder-decoders and decoders, whose heads stand elsewhere than an encoder's.
#include "qkv/ops/autograd.h"
#include "qkv/tasks/answer.h"
#include "qkv/tasks/classify.h"
#include "qkv/tasks/embed.h"
#include "qkv/tasks/tag.h"
#include "tests/tasks/tiny_model.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

TEST(EncoderDecoders, EmbedWithTheirEncoder) {
  for (const char* name : {"t5_v10", "bart", "t5_bare", "t5_encoder"}) {
    const TinyModel tiny(name);
    const Embedder embedder(tiny.path);
    const Row row = embedder.row("w17 w23 w42");
    Model& model = embedder.base().model();
    const NoGrad no_grad;
    const Inputs inputs{.input_ids = Tensor::from({1, std::ssize(row.ids)}, row.ids)};
    const Tensor h = model.spec().encoder ? model.encode(inputs, {}) : model.hidden(inputs, {});
    const std::vector<float> values = h.to_vector<float>(), got = embedder.embed("w17 w23 w42");
    ASSERT_EQ(got.size(), static_cast<size_t>(h.size(2)));
    for (size_t d = 0; d < got.size(); ++d) {
      double sum = 0;
      for (size_t t = 0; t < row.ids.size(); ++t) sum += values[t * got.size() + d];
      EXPECT_NEAR(got[d], sum / static_cast<double>(row.ids.size()), 1e-5) << name;
    }
  }
}

TEST(EncoderDecoders, ABatchOfClassesIsItsRows) {
  for (const char* name : {"bart_sequence_classification", "t5_sequence_classification", "gpt2_sequence_classification",
                           "llama_sequence_classification", "xlnet_sequence_classification"}) {
    const TinyModel tiny(name, {{"eos_token_id", 3}});  // the vocabulary's [SEP], which ends a text
    const Classifier classifier(tiny.path);
    std::vector<Row> rows;
    for (const char* text : {"w17 w23 w42 w11 w12", "w30", "w9 w8 w7"}) rows.push_back(classifier.base().row(text));
    const auto together = classifier.classify(rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto alone = classifier.classify(std::span<const Row>(&rows[i], 1))[0];
      double sum = 0;
      for (size_t j = 0; j < alone.size(); ++j) {
        EXPECT_EQ(together[i][j].name, alone[j].name) << name;
        EXPECT_NEAR(together[i][j].score, alone[j].score, 1e-5) << name;
        sum += alone[j].score;
      }
      EXPECT_NEAR(sum, 1, 1e-6);
    }
  }
}

}  // namespace
}  // namespace qkv
