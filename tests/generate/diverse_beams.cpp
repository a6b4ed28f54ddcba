// Groups of beams against the definition, without a cache.
#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "qkv/generate/sampling.h"
#include "tests/generate/writers.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

struct Found {
  Ids ids;
  double score = 0;
};

// Algorithm 1 of Vijayakumar et al. (2018) for texts of one length: at each step, each group in turn takes its best
// continuations, where a token's log probability falls by the penalty for each beam of an earlier group that has taken
// it at this step.
std::vector<Found> diverse_beams(Model& model, const Ids& prompt, size_t groups, size_t beams, double penalty,
                                 int steps) {
  std::vector<std::vector<Found>> all(groups, {Found{}});
  for (int step = 0; step < steps; ++step) {
    std::vector<int> taken(vocab, 0);
    for (std::vector<Found>& group : all) {
      std::vector<Found> next;
      for (const Found& beam : group) {
        Ids text = prompt;
        text.insert(text.end(), beam.ids.begin(), beam.ids.end());
        std::vector<float> scores = recomputed_logits(model, text, prompt.size());
        to_log_probabilities(scores);
        for (int32_t token = 0; token < vocab; ++token) {
          next.push_back(beam);
          next.back().ids.push_back(token);
          next.back().score += scores[static_cast<size_t>(token)] - penalty * taken[static_cast<size_t>(token)];
        }
      }
      std::stable_sort(next.begin(), next.end(), [](const Found& a, const Found& b) { return a.score > b.score; });
      next.resize(beams);
      for (const Found& beam : next) ++taken[static_cast<size_t>(beam.ids.back())];
      group = std::move(next);
    }
  }
  std::vector<Found> found;
  for (const std::vector<Found>& group : all) found.insert(found.end(), group.begin(), group.end());
  std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.score > b.score; });
  return found;
}

TEST(DiverseBeams, AreThoseOfTheDefinition) {
  constexpr int steps = 5;
  for (const char* family : {"gpt2", "t5", "bart", "mamba"})
    for (const auto& [groups, beams] : {std::pair{2, 2}, {3, 1}, {2, 3}})
      for (const float penalty : {0.4F, 5.0F}) {
        const auto model = model_of(family);
        const Ids prompt = {4, 9, 2};
        const int all = groups * beams;
        const auto want = diverse_beams(*model, prompt, static_cast<size_t>(groups), static_cast<size_t>(beams),
                                        static_cast<double>(penalty), steps);
        const auto got = Generator(*model, DType::f32)
                             .generate({prompt, {7}}, {.max_new_tokens = steps,
                                                       .num_beams = all,
                                                       .num_beam_groups = groups,
                                                       .diversity_penalty = penalty,
                                                       .num_return_sequences = all})[0];
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < want.size(); ++i) {
          EXPECT_EQ(got[i].ids, want[i].ids) << family << " " << groups << "x" << beams << " place " << i;
          EXPECT_NEAR(got[i].score, want[i].score / steps, 1e-4);
        }
      }
}

TEST(DiverseBeams, AHeavyPenaltyMakesFirstTokensDiffer) {
  const auto model = model_of("gpt2");
  const auto found = Generator(*model, DType::f32)
                         .generate({{4, 9, 2}}, {.max_new_tokens = 3,
                                                 .num_beams = 4,
                                                 .num_beam_groups = 4,
                                                 .diversity_penalty = 1000,
                                                 .num_return_sequences = 4})[0];
  std::vector<int32_t> first;
  for (const Continuation& c : found) first.push_back(c.ids[0]);
  std::sort(first.begin(), first.end());
  EXPECT_EQ(std::adjacent_find(first.begin(), first.end()), first.end());
}

TEST(DiverseBeams, OptionsThatContradictAreRefused) {
  const auto says = [](const GenerationOptions& options) -> std::string {
    try {
      check_options(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(says({.num_beams = 4, .num_beam_groups = 3, .diversity_penalty = 1}).find("3 equal groups"),
            std::string::npos);
  EXPECT_NE(says({.num_beams = 4, .num_beam_groups = 2}).find("diversity-penalty"), std::string::npos);
  EXPECT_NE(says({.num_beams = 4, .num_beam_groups = 2, .diversity_penalty = -1}).find("diversity-penalty"),
            std::string::npos);
  EXPECT_EQ(says({.num_beams = 4, .num_beam_groups = 2, .diversity_penalty = 1}), "");
}

}  // namespace
}  // namespace qkv
