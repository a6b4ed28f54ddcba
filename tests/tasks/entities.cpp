#include "qkv/tasks/entities.h"

#include "tests/tasks/tiny_model.h"

namespace qkv {
namespace {

class Entities : public testing::Test {
 protected:
  std::string shown(Aggregation aggregation) const {
    std::string text;
    for (const Entity& entity : entities_of(tokenizer, tokens, names, aggregation))
      text += fmt::format("{} {} {:.2f} {}-{}; ", entity.label, entity.word, entity.score, entity.begin, entity.end);
    return text;
  }
  TinyModel model{"bert_token_classification"};
  Tokenizer tokenizer = Tokenizer::load(model.path);
  std::vector<std::string> names = {"O", "B-PER", "I-PER", "B-LOC"};
  // "Micro" "##soft" is torn between classes; a new B- begins a new entity of the same kind.
  std::vector<ScoredToken> tokens = {{"w5", {0.1, 0.88, 0, 0}, 0, 5, 1, false},
                                     {"##6", {0.2, 0, 0.2, 0.6}, 5, 9, 2, true},
                                     {"w7", {0, 0, 0.98, 0}, 10, 12, 3, false},
                                     {"w8", {0, 0.8, 0.2, 0}, 13, 15, 4, false},
                                     {"w9", {1, 0, 0, 0}, 16, 18, 5, false}};
};

TEST_F(Entities, TokensAsTheyAre) {
  EXPECT_EQ(shown(Aggregation::none),
            "B-PER w5 0.88 0-5; B-LOC ##6 0.60 5-9; I-PER w7 0.98 10-12; B-PER w8 0.80 13-15; O w9 1.00 16-18; ");
}

TEST_F(Entities, NeighboursOfOneClass) {
  EXPECT_EQ(shown(Aggregation::simple),
            "PER w5 0.88 0-5; LOC ##6 0.60 5-9; PER w7 0.98 10-12; PER w8 0.80 13-15; O w9 1.00 16-18; ");
}

TEST_F(Entities, WordsHaveOneClass) {
  EXPECT_EQ(shown(Aggregation::first), "PER w56 w7 0.93 0-12; PER w8 0.80 13-15; O w9 1.00 16-18; ");
  EXPECT_EQ(shown(Aggregation::max), shown(Aggregation::first));
  EXPECT_EQ(shown(Aggregation::average), "PER w56 w7 0.71 0-12; PER w8 0.80 13-15; O w9 1.00 16-18; ");
}

TEST_F(Entities, OfOverlappingOnesTheLongestStays) {
  const auto kept =
      without_overlaps({{"A", 0.5, "", 0, 4}, {"B", 0.4, "", 2, 8}, {"C", 0.9, "", 8, 10}, {"D", 0.95, "", 8, 10}});
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].label, "B");
  EXPECT_EQ(kept[1].label, "D");
}

}  // namespace
}  // namespace qkv
