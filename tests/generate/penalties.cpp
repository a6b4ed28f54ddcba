// What has been said changes what may be said.
#include "qkv/generate/penalties.h"

#include <cmath>

namespace qkv {
namespace {

using Scores = std::vector<float>;
constexpr float excluded = -std::numeric_limits<float>::infinity();

Scores penalised(Scores scores, const std::vector<int32_t>& ids, size_t prompt, const GenerationOptions& options) {
  apply_penalties(scores, ids, prompt, options);
  return scores;
}

TEST(Penalties, RepetitionDividesAndMultipliesOnceEach) {
  EXPECT_EQ(penalised({2, -2, 3, 4}, {0, 0, 1}, 2, {.repetition_penalty = 2}), (Scores{1, -4, 3, 4}));
}

TEST(Penalties, FrequencyAndPresenceCountWhatWasGenerated) {
  EXPECT_EQ(penalised({5, 5, 5}, {0, 0, 1, 1, 1}, 2, {.frequency_penalty = 0.5F}), (Scores{5, 3.5F, 5}));
  EXPECT_EQ(penalised({5, 5, 5}, {0, 0, 1, 1, 1}, 2, {.presence_penalty = 0.5F}), (Scores{5, 4.5F, 5}));
}

TEST(Penalties, NgramsDoNotRepeat) {
  // After "1 2 3 1", bigrams that begin with 1 end in 2; trigrams that begin with "3 1" have not been.
  EXPECT_EQ(penalised({1, 1, 1, 1}, {1, 2, 3, 1}, 4, {.no_repeat_ngram_size = 2}), (Scores{1, 1, excluded, 1}));
  EXPECT_EQ(penalised({1, 1, 1, 1}, {1, 2, 3, 1}, 4, {.no_repeat_ngram_size = 3}), (Scores{1, 1, 1, 1}));
  EXPECT_EQ(penalised({1, 1, 1, 1}, {1, 2, 3, 1, 2}, 5, {.no_repeat_ngram_size = 3}), (Scores{1, 1, 1, excluded}));
  EXPECT_EQ(penalised({1, 1, 1, 1}, {1, 2}, 2, {.no_repeat_ngram_size = 1}), (Scores{1, excluded, excluded, 1}));
  EXPECT_EQ(penalised({1, 1}, {1}, 1, {.no_repeat_ngram_size = 5}), (Scores{1, 1}));
}

TEST(Penalties, EndsAreHeldBack) {
  const GenerationOptions options{.min_new_tokens = 2, .end_ids = {1, 99, -1}};
  EXPECT_EQ(penalised({1, 1, 1}, {0, 0}, 2, options), (Scores{1, excluded, 1}));
  EXPECT_EQ(penalised({1, 1, 1}, {0, 0, 0}, 2, options), (Scores{1, excluded, 1}));
  EXPECT_EQ(penalised({1, 1, 1}, {0, 0, 0, 0}, 2, options), (Scores{1, 1, 1}));
}

TEST(Penalties, BadWordsAreNotCompleted) {
  const GenerationOptions options{.end_ids = {3}, .bad_words = {{0}, {1, 2}, {3}, {9, 9, 9, 9}, {99}}};
  EXPECT_EQ(penalised({1, 1, 1, 1}, {2, 2}, 1, options), (Scores{excluded, 1, 1, 1}));
  EXPECT_EQ(penalised({1, 1, 1, 1}, {2, 1}, 1, options), (Scores{excluded, 1, excluded, 1}));
}

TEST(Penalties, OnlyWhatIsAllowed) {
  const GenerationOptions options{.allowed = [](std::span<const int32_t> said, size_t prompt) {
    return std::vector<int32_t>{static_cast<int32_t>(said.size()), static_cast<int32_t>(prompt), 99};
  }};
  EXPECT_EQ(penalised({1, 1, 1, 1}, {0, 0}, 1, options), (Scores{excluded, 1, 1, excluded}));
}

TEST(Penalties, FirstAndLastTokensAreForced) {
  const GenerationOptions options{.max_new_tokens = 3, .forced_first = 1, .forced_last = 2};
  EXPECT_EQ(penalised({5, 5, 5}, {0, 0}, 2, options), (Scores{excluded, 0, excluded}));
  EXPECT_EQ(penalised({5, 5, 5}, {0, 0, 1}, 2, options), (Scores{5, 5, 5}));
  EXPECT_EQ(penalised({5, 5, 5}, {0, 0, 1, 0}, 2, options), (Scores{excluded, excluded, 0}));
}

TEST(Penalties, NoneChangesNothing) { EXPECT_EQ(penalised({1, -2, 3}, {0, 1, 2}, 1, {}), (Scores{1, -2, 3})); }

}  // namespace
}  // namespace qkv
