// Samplers against small distributions worked out by hand.
#include "qkv/generate/sampling.h"

#include "qkv/core/error.h"

#include <cmath>
#include <map>

namespace qkv {
namespace {

// Which tokens can come out, and how often: uniform numbers swept over [0, 1).
std::map<int32_t, double> distribution(const std::vector<double>& p, const GenerationOptions& options) {
  std::vector<float> logits;
  for (const double x : p) logits.push_back(static_cast<float>(std::log(x)));
  std::map<int32_t, double> share;
  constexpr int n = 10'000;
  for (int i = 0; i < n; ++i) share[sample_token(logits, options, (i + 0.5) / n)] += 1.0 / n;
  return share;
}

void expect_shares(const std::map<int32_t, double>& got, const std::map<int32_t, double>& wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  for (const auto& [token, share] : wanted) {
    const auto found = got.find(token);
    ASSERT_NE(found, got.end()) << "token " << token << " never came";
    EXPECT_NEAR(found->second, share, 3e-4) << "token " << token;
  }
}

const std::vector<double> p = {0.1, 0.4, 0.05, 0.3, 0.15};

TEST(Sampling, PlainIsTheModelsDistribution) {
  expect_shares(distribution(p, {}), {{0, 0.1}, {1, 0.4}, {2, 0.05}, {3, 0.3}, {4, 0.15}});
}

TEST(Sampling, TemperatureRaisesToItsInverse) {
  double sum = 0;
  for (const double x : p) sum += x * x;
  std::map<int32_t, double> wanted;
  for (size_t i = 0; i < p.size(); ++i) wanted[static_cast<int32_t>(i)] = p[i] * p[i] / sum;
  expect_shares(distribution(p, {.temperature = 0.5F}), wanted);
  // Colder than any difference: the likeliest alone.
  expect_shares(distribution(p, {.temperature = 1e-4F}), {{1, 1}});
}

TEST(Sampling, TopK) {
  expect_shares(distribution(p, {.top_k = 2}), {{1, 4.0 / 7}, {3, 3.0 / 7}});
  expect_shares(distribution(p, {.top_k = 1}), {{1, 1}});
  EXPECT_EQ(distribution(p, {.top_k = 99}).size(), 5U);
}

TEST(Sampling, TopPKeepsTheFirstThatReachesIt) {
  expect_shares(distribution(p, {.top_p = 0.6F}), {{1, 4.0 / 7}, {3, 3.0 / 7}});
  expect_shares(distribution(p, {.top_p = 0.72F}), {{1, 0.4 / 0.85}, {3, 0.3 / 0.85}, {4, 0.15 / 0.85}});
  expect_shares(distribution(p, {.top_p = 1e-6F}), {{1, 1}});
}

TEST(Sampling, ManyWordsAreCutAsFewAre) {
  // 3,000 words in no order, of probabilities that fall by their rank: the cuts at any place, found by sorting them
  // all.
  constexpr size_t n = 3000;
  std::vector<double> all(n);
  std::vector<std::pair<double, int32_t>> ranked;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += all[i] = 1.0 / static_cast<double>(3 + i * 7919 % n);
  for (size_t i = 0; i < n; ++i) ranked.emplace_back(-(all[i] /= sum), static_cast<int32_t>(i));
  std::sort(ranked.begin(), ranked.end());
  for (const float top_p : {0.3F, 0.6F, 0.9F, 0.99F}) {
    std::map<int32_t, double> wanted;
    double kept = 0;
    for (size_t i = 0; kept < top_p; ++i) kept += wanted[ranked[i].second] = -ranked[i].first;
    for (auto& [id, share] : wanted) share /= kept;
    const std::map<int32_t, double> got = distribution(all, {.top_p = top_p});
    for (const auto& [id, share] : got) {
      ASSERT_TRUE(wanted.count(id) > 0) << id << " at " << top_p;
      EXPECT_NEAR(share, wanted[id], 3e-4);
    }
  }
  std::map<int32_t, double> first;
  double kept = 0;
  for (size_t i = 0; i < 200; ++i) kept += first[ranked[i].second] = -ranked[i].first;
  for (auto& [id, share] : first) share /= kept;
  expect_shares(distribution(all, {.top_k = 200}), first);
}

TEST(Sampling, MinPIsRelativeToTheLikeliest) {
  // 0.3 of 0.4 is 0.12
  expect_shares(distribution(p, {.min_p = 0.3F}), {{1, 0.4 / 0.85}, {3, 0.3 / 0.85}, {4, 0.15 / 0.85}});
  expect_shares(distribution(p, {.min_p = 0.99F}), {{1, 1}});
}

TEST(Sampling, TypicalKeepsWhatIsNearestTheEntropy) {
  // Entropy 1.392; surprises 2.303 0.916 2.996 1.204 1.897, so the order is 3 (0.188), 1 (0.476), 4 (0.505), 0, 2.
  expect_shares(distribution(p, {.typical_p = 0.2F}), {{3, 1}});
  expect_shares(distribution(p, {.typical_p = 0.6F}), {{3, 3.0 / 7}, {1, 4.0 / 7}});
  expect_shares(distribution(p, {.typical_p = 0.8F}), {{3, 0.3 / 0.85}, {1, 0.4 / 0.85}, {4, 0.15 / 0.85}});
}

TEST(Sampling, CutsFollowEachOther) {
  // top-k 3 leaves 0.4 0.3 0.15 of 0.85; of that 0.8 needs the first two; of those min-p 0.8 leaves one.
  expect_shares(distribution(p, {.top_k = 3, .top_p = 0.8F}), {{1, 4.0 / 7}, {3, 3.0 / 7}});
  expect_shares(distribution(p, {.top_k = 3, .top_p = 0.8F, .min_p = 0.8F}), {{1, 1}});
}

TEST(Sampling, EqualsAreTakenInOrder) {
  const std::vector<double> even(6, 1.0 / 6);
  expect_shares(distribution(even, {.top_k = 2}), {{0, 0.5}, {1, 0.5}});
  expect_shares(distribution(even, {.top_p = 0.49F}), {{0, 1.0 / 3}, {1, 1.0 / 3}, {2, 1.0 / 3}});
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 3, 2}), 1);
}

TEST(Sampling, BannedTokensNeverCome) {
  const float never = -INFINITY;
  for (const GenerationOptions& options : std::vector<GenerationOptions>{
           {}, {.top_k = 3}, {.top_p = 0.999F}, {.min_p = 0.001F}, {.typical_p = 0.999F}, {.temperature = 100}})
    for (const double u : {0.0, 0.3, 0.999999999})
      EXPECT_EQ(sample_token(std::vector<float>{never, 2, never, never}, options, u), 1);
}

TEST(Sampling, LogProbabilitiesSumToOne) {
  std::vector<float> scores = {1000, 1001, 999};
  to_log_probabilities(scores);
  double sum = 0;
  for (const float score : scores) sum += std::exp(score);
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_NEAR(scores[1], -std::log(1 + std::exp(-1) + std::exp(-2)), 1e-6);
}

TEST(Sampling, OptionsThatMakeNoSenseAreNamed) {
  const auto expect_refused = [](const GenerationOptions& options, const char* name) {
    try {
      check_options(options);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), name);
    }
  };
  expect_refused({.max_new_tokens = 0}, "max-new-tokens");
  expect_refused({.min_new_tokens = -1}, "min-new-tokens");
  for (const float t : {0.0F, -1.0F, static_cast<float>(NAN), static_cast<float>(INFINITY)})
    expect_refused({.temperature = t}, "temperature");
  expect_refused({.top_k = -1}, "top-k");
  for (const float x : {0.0F, 1.5F, static_cast<float>(NAN)}) {
    expect_refused({.top_p = x}, "top-p");
    expect_refused({.typical_p = x}, "typical-p");
  }
  expect_refused({.min_p = 1}, "min-p");
  for (const float x : {0.0F, -2.0F, static_cast<float>(NAN), static_cast<float>(INFINITY)})
    expect_refused({.repetition_penalty = x}, "repetition-penalty");
  expect_refused({.frequency_penalty = NAN}, "frequency-penalty");
  expect_refused({.presence_penalty = INFINITY}, "presence-penalty");
  expect_refused({.no_repeat_ngram_size = -1}, "no-repeat-ngram");
  expect_refused({.num_beams = 0}, "beams");
  expect_refused({.sample = true, .num_beams = 2}, "beams");
  expect_refused({.num_return_sequences = 2}, "return-sequences");
  expect_refused({.length_penalty = NAN}, "length-penalty");
  check_options({.sample = true, .num_return_sequences = 3});
}

}  // namespace
}  // namespace qkv
