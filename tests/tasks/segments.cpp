// Scores of texts longer than what a model reads at a time.
#include "qkv/core/json.h"
#include "qkv/tasks/score.h"
#include "tests/tasks/tiny_model.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qkv {
namespace {

using Ids = std::vector<int32_t>;

Json recorded() { return read_json(fs::path(QKV_SOURCE_DIR) / "tests/golden/segments.json"); }

std::vector<Ids> texts_of(const Json& of_model) {
  std::vector<Ids> texts;
  for (const Json& text : of_model["texts"]) texts.push_back(text["ids"].get<Ids>());
  return texts;
}

// tests/golden/make_segments.py fed the reference library segment by segment, each text alone.
TEST(Segments, MemoriesAreCarriedAsTheReferenceDoes) {
  const Json all = recorded();
  for (const auto& [name, expected] : all.items()) {
    const TinyModel tiny(name);
    for (const int64_t batch_tokens : {1, 4096}) {
      const Scorer scorer(tiny.path, {.batch_tokens = batch_tokens}, {.segment = expected["segment"].get<int64_t>()});
      const std::vector<TextScore> scores = scorer.score(texts_of(expected));
      for (size_t i = 0; i < scores.size(); ++i) {
        const auto want = expected["texts"][i]["log_probabilities"].get<std::vector<double>>();
        ASSERT_EQ(scores[i].log_probabilities.size(), want.size());
        double total = 0;
        for (size_t t = 0; t < want.size(); ++t) {
          ASSERT_NEAR(scores[i].log_probabilities[t], want[t], 1e-4 * std::abs(want[t]))
              << name << " " << i << " " << t;
          total += want[t];
        }
        EXPECT_NEAR(scores[i].perplexity() / std::exp(-total / static_cast<double>(want.size())), 1, 1e-4);
      }
    }
  }
}

// Where all of the text before is remembered, it does not matter how it is cut.
TEST(Segments, OfAModelThatRemembersAllAreTheWholeText) {
  const TinyModel tiny("xlnet", {{"mem_len", nullptr}});
  const std::vector<Ids> texts = texts_of(recorded()["xlnet"]);
  const std::vector<TextScore> whole = Scorer(tiny.path).score(texts);
  for (const int64_t segment : {1, 5, 30}) {
    const std::vector<TextScore> cut = Scorer(tiny.path, {}, {.segment = segment}).score(texts);
    for (size_t i = 0; i < texts.size(); ++i)
      for (size_t t = 0; t < whole[i].log_probabilities.size(); ++t)
        ASSERT_NEAR(cut[i].log_probabilities[t], whole[i].log_probabilities[t], 1e-4)
            << segment << " " << i << " " << t;
  }
}

TEST(Segments, AreRefusedWhereTheyMakeNoSense) {
  const TinyModel gpt2("gpt2"), transfo_xl("transfo_xl"), xlnet("xlnet");
  EXPECT_THROW(Scorer(gpt2.path, {}, {.segment = 4}), Error) << "it remembers nothing";
  EXPECT_THROW(Scorer(transfo_xl.path, {.max_length = 8}, {.segment = 4, .stride = 2}), Error) << "one or the other";
  EXPECT_THROW(Scorer(xlnet.path, {.max_length = 8}, {.stride = 2}), Error);
  EXPECT_NO_THROW(Scorer(transfo_xl.path, {.max_length = 8}, {.stride = 2}));
}

}  // namespace
}  // namespace qkv
