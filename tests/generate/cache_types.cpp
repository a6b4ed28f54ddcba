// Keys and values kept in fewer bits: what is written hardly changes, in the generator and in the engine alike.
#include "qkv/generate/cache_type.h"

#include "qkv/core/error.h"
#include "qkv/generate/decoding.h"
#include "qkv/generate/engine.h"
#include "qkv/tensor/device.h"
#include "tests/generate/writers.h"

#include <cmath>

namespace qkv {
namespace {

std::unique_ptr<Model> model_with_heads_of_32(const std::string& family) {
  const Sizes sizes{.vocab = vocab, .context = 64, .layers = 2, .heads = 2, .width = 64};
  auto model = std::make_unique<Model>(spec_of(Config(family_named(family, "test").config(sizes), "test")));
  model->initialise(RandomKey{3});
  model->visit([](const std::string&, Tensor& value, Role role) {
    if (role != Role::matrix && role != Role::residual_matrix && role != Role::embedding) return;
    for (int64_t i = 0; i < value.numel(); ++i) value.data<float>()[i] *= 6;
  });
  model->to(default_device());
  return model;
}

// Logits of every step over the same tokens, whatever the cache would have chosen.
std::vector<float> logits_along(Model& model, const Ids& prompt, const Ids& tokens, std::optional<DType> cache) {
  Decoding decoding(model, DType::f32, cache, {prompt}, std::ssize(tokens));
  std::vector<float> all;
  for (const int32_t token : tokens) {
    all.insert(all.end(), decoding.logits(0).begin(), decoding.logits(0).end());
    decoding.advance({token});
  }
  return all;
}

class CacheTypes : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Model> model_ = model_with_heads_of_32(GetParam());
};

TEST_P(CacheTypes, FewerBitsChangeLogitsALittle) {
  const Ids prompt = {4, 9, 2, 7, 7, 1, 30, 12}, tokens = {3, 8, 8, 1, 0, 22, 5, 16, 29, 2, 4, 4, 11, 19};
  const std::vector<float> exact = logits_along(*model_, prompt, tokens, {});
  EXPECT_EQ(logits_along(*model_, prompt, tokens, DType::f32), exact);
  double square = 0;
  for (const float x : exact) square += static_cast<double>(x) * x;
  // Relative to the logits: bf16 keeps 8 bits of a number, q8_0 7 and a sign of the largest of 32.
  for (const auto& [type, bound] : {std::pair{DType::bf16, 0.01}, std::pair{DType::q8_0, 0.02}}) {
    const std::vector<float> rounded = logits_along(*model_, prompt, tokens, type);
    double error = 0;
    for (size_t i = 0; i < exact.size(); ++i) error += std::pow(static_cast<double>(rounded[i]) - exact[i], 2);
    EXPECT_LT(std::sqrt(error / square), bound) << name_of(type);
    EXPECT_GT(error, 0) << name_of(type) << " rounds nothing?";
  }
}

TEST_P(CacheTypes, TheEngineWritesWhatTheGeneratorWrites) {
  for (const DType type : {DType::bf16, DType::q8_0}) {
    const GenerationOptions options{.max_new_tokens = 20};
    const std::vector<Ids> prompts = {{1, 2, 3, 4, 5, 6, 7}, {9}, {4, 4, 8}};
    const auto scheduler =
        make_scheduler(*model_, {.cache = type, .max_batch = 3, .page_size = 4, .prompt_chunk = 6, .busy_chunk = 3});
    std::vector<Ids> together(prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      Request request;
      request.prompt = prompts[i];
      request.options = options;
      request.on_token = [&together, i](size_t, const ChosenToken& token) {
        together[i].push_back(token.id);
        return true;
      };
      scheduler->check(request);
      scheduler->submit(std::move(request));
    }
    for (int guard = 0; scheduler->step() && guard < 10000; ++guard) {
    }
    for (size_t i = 0; i < prompts.size(); ++i)
      EXPECT_EQ(together[i], Generator(*model_, DType::f32, type).generate({prompts[i]}, options)[0][0].ids)
          << name_of(type) << " " << i;
  }
}

TEST_P(CacheTypes, BeamsTakeTheirRowsAlong) {
  const GenerationOptions options{.max_new_tokens = 10, .num_beams = 3, .num_return_sequences = 3};
  const auto exact = Generator(*model_, DType::f32).generate({{5, 6, 7}}, options)[0];
  const auto kept = Generator(*model_, DType::f32, DType::q8_0).generate({{5, 6, 7}}, options)[0];
  ASSERT_EQ(kept.size(), exact.size());
  EXPECT_NEAR(kept[0].score, exact[0].score, 0.05 * std::abs(exact[0].score) + 0.01);
}

INSTANTIATE_TEST_SUITE_P(Families, CacheTypes, testing::Values("llama", "gpt2", "bloom", "gemma2"),
                         [](const auto& each) { return each.param; });

std::string refusal(Model& model, DType type) {
  try {
    Generator(model, DType::f32, type);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CacheType, WhatCannotBeKeptSoIsRefused) {
  EXPECT_NE(refusal(*model_of("mamba"), DType::q8_0).find("no keys and values"), std::string::npos);
  EXPECT_NE(refusal(*model_of("xlnet"), DType::bf16).find("their own type"), std::string::npos);
  EXPECT_NE(refusal(*model_of("llama"), DType::q8_0).find("heads have 8"), std::string::npos);
  EXPECT_EQ(refusal(*model_of("llama"), DType::bf16), "");
  EXPECT_THROW(make_scheduler(*model_of("llama"), {.cache = DType::q8_0}), Error);
}

TEST(CacheType, BytesAreAHalfAndAQuarter) {
  const std::unique_ptr<Model> model = model_with_heads_of_32("llama");
  const double whole = cache_bytes_of_position(model->spec(), DType::f32, {});
  EXPECT_EQ(whole, 2 * 2 * 64 * 4);
  EXPECT_EQ(cache_bytes_of_position(model->spec(), DType::f32, DType::bf16), whole / 2);
  EXPECT_EQ(cache_bytes_of_position(model->spec(), DType::f32, DType::q8_0), whole * 34 / 128);
  EXPECT_EQ(cache_type_named("q8_0"), DType::q8_0);
  EXPECT_FALSE(cache_type_named("").has_value());
  EXPECT_THROW(cache_type_named("q3"), Error);
}

}  // namespace
}  // namespace qkv
