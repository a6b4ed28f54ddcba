// Heads of decoders and encoder-decoders, and what they refuse.
#include "qkv/core/error.h"
#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

Json config_of(const char* family, const char* architecture) {
  const Sizes sizes{.vocab = 29, .context = 16, .layers = 1, .heads = 2, .width = 32};
  Json json = family_named(family, "test").config(sizes);
  json["architectures"] = {architecture};
  json["num_labels"] = 3;
  json["eos_token_id"] = 2;
  json["pad_token_id"] = 0;
  return json;
}

std::vector<float> logits(Model& model, const Inputs& inputs) {
  const NoGrad no_grad;
  return model.outputs(inputs, {})[0].second.to_vector<float>();
}

std::string error_of(const Json& json) {
  try {
    spec_of(Config(json, "test"));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Heads, ADecoderClassifiesAtTheLastTokenThatIsNotPadding) {
  Model model(spec_of(Config(config_of("gpt2", "GPT2ForSequenceClassification"), "test")));
  model.initialise(RandomKey{3});
  model.to(default_device());
  const std::vector<float> alone = logits(model, {.input_ids = Tensor::from<int32_t>({1, 3}, {5, 6, 7})});
  ASSERT_EQ(alone.size(), 3U);
  const Tensor padded = Tensor::from<int32_t>({1, 5}, {5, 6, 7, 0, 0});
  for (const auto& inputs : {Inputs{.input_ids = padded},  // the id alone tells
                             Inputs{.input_ids = Tensor::from<int32_t>({1, 5}, {5, 6, 7, 8, 9}),
                             .attention_mask = Tensor::from<uint8_t>({1, 5}, {1, 1, 1, 0, 0})}}) {
    const std::vector<float> got = logits(model, inputs);
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], alone[i], 1e-6);
  }
}

TEST(Heads, AnEncoderDecoderClassifiesAtTheLastEndToken) {
  Model model(spec_of(Config(config_of("bart", "BartForSequenceClassification"), "test")));
  model.initialise(RandomKey{3});
  model.to(default_device());
  const auto of = [&](const std::vector<int32_t>& ids) {
    return logits(model, {.input_ids = Tensor::from<int32_t>({1, std::ssize(ids)}, ids)});
  };
  EXPECT_EQ(of({5, 2, 6, 7, 2}).size(), 3U);
  EXPECT_THROW(logits(model, {.input_ids = Tensor::from<int32_t>({1, 3}, {5, 6, 2}),
                              .decoder_input_ids = Tensor::from<int32_t>({1, 2}, {2, 5})}),
               Error)
      << "which position is the end's?";
  try {
    of({5, 6, 7});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("ends a text"), std::string::npos) << error.what();
  }
}

TEST(Heads, EveryDecoderFamilyHasClassHeads) {
  for (const char* family : {"gpt2", "gpt_neo", "gpt_neox", "gptj", "openai-gpt", "opt", "bloom", "falcon", "ctrl",
                             "llama", "mistral", "mixtral", "qwen2", "qwen3", "phi", "gemma2", "glm"})
    for (const char* architecture : {"ForSequenceClassification", "ForTokenClassification"}) {
      SCOPED_TRACE(std::string(family) + architecture);
      const Spec spec = spec_of(Config(config_of(family, architecture), "test"));
      std::vector<std::string> named;
      for (const WeightRule& rule : expanded_weights(family_named(family, "test"), spec)) named.push_back(rule.ours);
      Model model(spec);
      model.visit([&](const std::string& name, Tensor&, Role) {
        EXPECT_NE(std::find(named.begin(), named.end(), name), named.end()) << name;
      });
    }
}

TEST(Heads, OthersAreRefusedByName) {
  EXPECT_NE(error_of(config_of("gpt2", "GPT2ForQuestionAnswering")).find("decoders do not have"), std::string::npos);
  EXPECT_NE(error_of(config_of("bart", "BartForTokenClassification")).find("architectures"), std::string::npos);
  EXPECT_NE(error_of(config_of("switch_transformers", "SwitchTransformersEncoderModel")).find("architectures"),
            std::string::npos);
  EXPECT_NE(error_of(config_of("xlnet", "XLNetForQuestionAnswering")).find("ForQuestionAnsweringSimple"),
            std::string::npos);
  EXPECT_EQ(error_of(config_of("xlnet", "XLNetForQuestionAnsweringSimple")), "");
  EXPECT_EQ(error_of(config_of("t5", "T5EncoderModel")), "");
}

}  // namespace
}  // namespace qkv
