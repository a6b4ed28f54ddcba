// Contrastive search against the definition, without a cache.
#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "tests/generate/writers.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

double cosine_of(const float* a, const float* b, int64_t width) {
  double product = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < width; ++i) {
    product += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return product / std::sqrt(aa * bb);
}

// Equation 5 of Su et al. (2022), each candidate's whole text through the model.
Ids contrastive(Model& model, const Ids& prompt, size_t count, double alpha, int steps) {
  Ids text = prompt;
  for (int step = 0; step < steps; ++step) {
    const std::vector<float> logits = recomputed_logits(model, text, prompt.size());
    double sum = 0;
    for (const float x : logits) sum += std::exp(x);
    std::vector<std::pair<double, int32_t>> candidates;
    for (int32_t token = 0; token < vocab; ++token)
      candidates.emplace_back(-std::exp(logits[static_cast<size_t>(token)]) / sum, token);
    std::sort(candidates.begin(), candidates.end());
    candidates.resize(count);
    double best = -1e9;
    int32_t taken = -1;
    for (const auto& [minus_p, token] : candidates) {
      Ids longer = text;
      longer.push_back(token);
      const NoGrad no_grad;
      const Tensor h = model.hidden(whole_inputs(model, longer, prompt.size()), {}).to({});
      const int64_t width = h.size(2);
      const float* last = h.data<float>() + (h.size(1) - 1) * width;
      double likeness = -1;
      for (int64_t t = 0; t + 1 < h.size(1); ++t)
        likeness = std::max(likeness, cosine_of(last, h.data<float>() + t * width, width));
      const double worth = (1 - alpha) * -minus_p - alpha * likeness;
      if (worth > best) {
        best = worth;
        taken = token;
      }
    }
    text.push_back(taken);
  }
  return {text.begin() + static_cast<ptrdiff_t>(prompt.size()), text.end()};
}

TEST(ContrastiveSearch, IsThatOfTheDefinition) {
  constexpr int steps = 8;
  for (const char* family : {"gpt2", "llama", "t5", "bart", "mamba", "transfo-xl"})
    for (const auto& [count, alpha] : {std::pair{2, 0.6F}, {5, 0.9F}}) {
      const auto model = model_of(family);
      const std::vector<Ids> prompts = {{4, 9, 2, 1}, {7}};
      const auto got = Generator(*model, DType::f32)
                           .generate(prompts, {.max_new_tokens = steps, .top_k = count, .penalty_alpha = alpha});
      for (size_t i = 0; i < prompts.size(); ++i)
        EXPECT_EQ(got[i][0].ids, contrastive(*model, prompts[i], static_cast<size_t>(count), alpha, steps))
            << family << ", " << count << " candidates, prompt " << i;
    }
}

TEST(ContrastiveSearch, EndsStreamsAndHeedsBans) {
  const auto model = model_of("gpt2");
  Generator generator(*model, DType::f32);
  const GenerationOptions plain{.max_new_tokens = 8, .top_k = 4, .penalty_alpha = 0.6F};
  const Ids free = generator.generate({{4, 9, 2}}, plain)[0][0].ids;
  ASSERT_EQ(free.size(), 8U);
  GenerationOptions options = plain;
  options.end_ids = {free[3]};
  const auto first = std::find(free.begin(), free.end(), free[3]);
  Ids streamed;
  const Continuation ended = generator.generate({{4, 9, 2}}, options, [&](size_t, int32_t token) {
    streamed.push_back(token);
    return true;
  })[0][0];
  EXPECT_TRUE(ended.ended);
  EXPECT_EQ(ended.ids, Ids(free.begin(), first + 1));
  EXPECT_EQ(streamed, Ids(free.begin(), first)) << "the end itself is not text";
  EXPECT_EQ(ended.log_probabilities.size(), ended.ids.size());
  options = plain;
  options.bad_words = {{free[0]}};
  const Ids other = generator.generate({{4, 9, 2}}, options)[0][0].ids;
  EXPECT_EQ(std::find(other.begin(), other.end(), free[0]), other.end());
  // With one token possible, it is taken whatever it is like.
  options.allowed = [](std::span<const int32_t>, size_t) { return Ids{11}; };
  options.bad_words.clear();
  EXPECT_EQ(generator.generate({{4, 9, 2}}, options)[0][0].ids, Ids(8, 11));
}

TEST(ContrastiveSearch, OptionsThatContradictAreRefused) {
  EXPECT_THROW(check_options({.penalty_alpha = 0.6F}), Error) << "among how many tokens?";
  EXPECT_THROW(check_options({.sample = true, .top_k = 4, .penalty_alpha = 0.6F}), Error);
  EXPECT_THROW(check_options({.top_k = 4, .num_beams = 2, .penalty_alpha = 0.6F}), Error);
  EXPECT_THROW(check_options({.top_k = 4, .penalty_alpha = 1.5F}), Error);
  const auto model = model_of("xlnet");
  EXPECT_THROW(Generator(*model, DType::f32).generate({{1, 2}}, {.top_k = 4, .penalty_alpha = 0.6F}), Error);
}

}  // namespace
}  // namespace qkv
