// Recorded passes over whole texts: the same bits as without. On a GPU or the emulated device; the CPU records nothing.
#include "qkv/models/replayed_passes.h"

#include "qkv/core/error.h"
#include "qkv/models/family.h"
#include "qkv/tensor/device.h"
#include "tests/tensor/without_replays.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

constexpr int32_t vocab = 29;

bool on_gpu() { return default_device().type == Device::Type::cuda; }

std::unique_ptr<Model> model_of(const std::string& family, const Json& changes = Json::object()) {
  const Sizes small{.vocab = vocab, .context = 32, .layers = 2, .heads = 2, .width = 16};
  Json config = family_named(family, "test").config(small);
  config.update(changes);
  auto model = std::make_unique<Model>(spec_of(Config(config, "test")));
  model->initialise(RandomKey{11});
  model->to(default_device());
  return model;
}

// A batch whose texts say something else for each `seed`; padding (token 1, RoBERTa's) where it is masked.
Inputs texts(int64_t count, int64_t length, int seed, bool masked, bool typed) {
  std::vector<int32_t> ids, types;
  std::vector<uint8_t> mask;
  for (int64_t i = 0; i < count * length; ++i) {
    const int64_t t = i % length;
    const bool padding = masked && t > 0 && t >= length - (i / length + seed) % 3;
    ids.push_back(padding ? 1 : static_cast<int32_t>(2 + (7 * i + 3 * seed * t) % (vocab - 2)));
    types.push_back(t > seed % length ? 1 : 0);
    mask.push_back(padding ? 0 : 1);
  }
  Inputs inputs{.input_ids = Tensor::from<int32_t>({count, length}, ids)};
  if (masked) inputs.attention_mask = Tensor::from<uint8_t>({count, length}, mask);
  if (typed) inputs.token_type_ids = Tensor::from<int32_t>({count, length}, types);
  return inputs;
}

// All numbers of passes over changing texts of changing shapes, of the blocks and of the head.
std::vector<float> results(Model& model, DType compute, int64_t* replays) {
  ReplayedPasses passes(model, compute);
  const bool typed = model.spec().embeddings.token_types > 1;
  std::vector<float> all;
  const auto add = [&](const Tensor& x) {
    const std::vector<float> values = x.to_vector<float>();
    all.insert(all.end(), values.begin(), values.end());
  };
  for (int seed = 0; seed < 4; ++seed)
    for (const bool masked : {false, true}) {
      add(passes.hidden(texts(2, 7, seed, masked, typed && seed % 2 == 0)));
      for (const auto& [name, value] : passes.outputs(texts(3, 5, seed, masked, typed))) add(value);
      // Somebody else takes memory in between.
      const Tensor other = Tensor::zeros({64, 16}, DType::f32, default_device());
      EXPECT_EQ(other.to_vector<float>(), std::vector<float>(64 * 16, 0.0F));
    }
  *replays = passes.replays();
  return all;
}

struct Case {
  const char* family;
  Json changes = Json::object();
  std::vector<DType> types = {DType::bf16};
};

void expect_the_same_bits(const Case& one, int64_t expected) {
  const std::unique_ptr<Model> model = model_of(one.family, one.changes);
  for (const DType compute : one.types) {
    int64_t replays = 0, none = 0;
    const std::vector<float> replayed = results(*model, compute, &replays);
    const WithoutReplays without;
    EXPECT_EQ(replayed, results(*model, compute, &none)) << one.family << " " << name_of(compute);
    EXPECT_EQ(replays, expected) << one.family;
    EXPECT_EQ(none, 0);
  }
}

TEST(ReplayedPasses, GiveTheSameBits) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const Json classifier = {{"architectures", {"BertForSequenceClassification"}}, {"num_labels", 3}};
  // Of four forms, each but the first pass.
  const std::vector<DType> all = {DType::f32, DType::bf16, DType::f16};
  for (const Case& one :
       {Case{"bert", Json::object(), all}, {"bert", classifier}, {"roberta"}, {"modernbert"}, {"gpt2"}})
    expect_the_same_bits(one, 12);
}

TEST(ReplayedPasses, LeaveWhatDependsOnTheTextsToOthers) {
  for (const char* family : {"t5", "mamba", "transfo-xl", "xlnet", "mixtral", "deberta-v2", "longformer", "reformer"})
    EXPECT_FALSE(ReplayedPasses::suits(model_of(family)->spec())) << family;
  for (const char* family : {"bert", "roberta", "modernbert", "gpt2", "llama"})
    EXPECT_TRUE(ReplayedPasses::suits_outputs(model_of(family)->spec())) << family;
  expect_the_same_bits({"deberta-v2"}, 0);
}

TEST(ReplayedPasses, KeepWhatCameLast) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const std::unique_ptr<Model> model = model_of("bert");
  ReplayedPasses passes(*model, DType::f32);
  const auto replayed = [&](int64_t length) {
    const int64_t before = passes.replays();
    passes.hidden(texts(1, length, 0, false, false));
    return passes.replays() > before;
  };
  EXPECT_FALSE(replayed(3)) << "the first makes what is made once";
  EXPECT_TRUE(replayed(3));
  EXPECT_TRUE(replayed(3));
  for (int64_t length = 4; length < 11; ++length) EXPECT_FALSE(replayed(length));
  EXPECT_TRUE(replayed(3)) << "one of eight forms";
  for (int64_t length = 11; length < 19; ++length) EXPECT_FALSE(replayed(length));
  EXPECT_FALSE(replayed(3)) << "given up for others";
  EXPECT_TRUE(replayed(3));
}

TEST(ReplayedPasses, RefuseBadInputInEveryPass) {
  const std::unique_ptr<Model> model = model_of("bert");
  ReplayedPasses passes(*model, DType::f32);
  for (int seed = 0; seed < 3; ++seed) passes.hidden(texts(1, 4, seed, false, true));
  for (const int32_t bad : {vocab, -1, 1 << 30}) {
    Inputs inputs = texts(1, 4, 0, false, true);
    inputs.input_ids.data<int32_t>()[2] = bad;
    EXPECT_THROW(passes.hidden(inputs), Error) << bad;
    inputs = texts(1, 4, 0, false, true);
    inputs.token_type_ids.data<int32_t>()[2] = bad;
    EXPECT_THROW(passes.hidden(inputs), Error) << bad;
  }
  EXPECT_THROW(passes.hidden(texts(1, 33, 0, false, false)), Error);
  EXPECT_EQ(passes.hidden(texts(1, 4, 1, false, true)).to_vector<float>(),
            ReplayedPasses(*model, DType::f32).hidden(texts(1, 4, 1, false, true)).to_vector<float>());
}

TEST(ReplayedPasses, TakeEveryOtherInputToo) {
  const std::unique_ptr<Model> model = model_of("gpt2");
  ReplayedPasses passes(*model, DType::f32);
  const auto shifted = [&](int32_t by) {
    Inputs inputs = texts(1, 3, 0, false, false);
    inputs.position_ids = Tensor::from<int32_t>({1, 3}, {by, by + 1, by + 2});
    return passes.hidden(inputs).to_vector<float>();
  };
  for (int i = 0; i < 3; ++i) EXPECT_NE(shifted(0), shifted(4));
  EXPECT_EQ(passes.replays(), 0);
}

}  // namespace
}  // namespace qkv
