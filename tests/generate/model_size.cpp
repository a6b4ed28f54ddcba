// What a model is said to need, against what it takes.
#include "qkv/generate/model_size.h"

#include "qkv/core/error.h"
#include "qkv/generate/cache_type.h"
#include "qkv/io/gguf.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/hugging_face.h"
#include "qkv/ops/shape.h"
#include "tests/generate/writers.h"

#include <fstream>

namespace qkv {
namespace {

class ModelSize : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    make("llama");
  }
  void make(const char* family) {
    model_ = std::make_unique<Model>(spec_of(config_of(family)));
    model_->initialise(RandomKey{1});
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path written(std::string_view mix) {
    const fs::path path = folder_ / (std::string(mix) + ".gguf");
    const Spec& spec = model_->spec();
    save_gguf_model(path, *model_, {.type = [&](const std::string& name, const Shape& shape) {
                      return mix_type(gguf_mix(mix), spec, name, shape);
                    }});
    return path;
  }

  static Config config_of(const char* family) {
    return {family_named(family, "test")
                .config({.vocab = 96, .context = 64, .layers = 2, .heads = 4, .kv_heads = 2, .width = 256}),
            "test"};
  }

  const fs::path folder_ = fs::temp_directory_path() / ("qkv-size-" + std::to_string(::getpid()));
  std::unique_ptr<Model> model_;
};

TEST_F(ModelSize, OfAFileBeforeItIsWritten) {
  for (const char* mix : {"f32", "bf16", "q8_0", "q4_k_m", "q4_0", "q2_k"}) {
    const Gguf file(written(mix));
    int64_t bytes = 0;
    for (const std::string& name : file.names()) bytes += bytes_of(file.dtype(name), file.shape(name).numel());
    EXPECT_EQ(gguf_bytes(model_->spec(), gguf_mix(mix)), static_cast<uint64_t>(bytes)) << mix;
  }
  EXPECT_THROW(gguf_bytes(model_of("xlnet")->spec(), gguf_mix("q8_0")), Error);
}

TEST_F(ModelSize, OfWeightsInMemory) {
  struct Case {
    const char* family;  // GPT-2's head is its embedding
    const char* mix;
    bool floats;
    bool half;
    bool stays = false;  // in its blocks
  };
  for (const auto& [family, mix, floats, half, stays] : {Case{"llama", "f32", false, false},
                                                         {"llama", "f32", true, false},
                                                         {"llama", "bf16", false, false},
                                                         {"llama", "bf16", true, true},
                                                         {"llama", "q8_0", true, false},
                                                         {"llama", "q4_k_m", false, false},
                                                         {"gpt2", "bf16", false, true},
                                                         {"gpt2", "bf16", true, true},
                                                         {"gpt2", "q8_0", true, false},
                                                         {"llama", "q4_k_m", false, false, true},
                                                         {"gpt2", "q8_0", false, false, true}}) {
    const std::string name = fmt::format("{} {} {} {} {}", family, mix, floats, half, stays);
    make(family);
    const fs::path path = written(mix);
    const PackOptions packing{.in_place = stays, .floats = floats};
    const Use use{.compute = half ? DType::bf16 : DType::f32, .packing = packing, .context = 64};
    uint64_t expected = 0, mapped = 0;
    for (const PlannedWeight& w : planned_weights(path, model_->spec(), use))
      (w.place == PlannedWeight::Place::mapped ? mapped : expected) += w.bytes;
    const size_t before = memory_use().now;
    const LoadedModel loaded =
        load_model(path, {.in_place = true, .matrices = use.compute, .pack = packing, .device = {}});
    const auto taken = static_cast<double>(memory_use().now - before);
    // Blocks of memory are rounded up to an eighth, and what a model allocates before it is loaded is small.
    EXPECT_NEAR(taken, static_cast<double>(expected), 0.15 * static_cast<double>(expected) + 0.1 * 4 * 96 * 256)
        << name;
    EXPECT_LE(mapped + expected, weight_bytes(path, DType::f32) * 3) << name;
    // In one type all through, nothing is there twice.
    if ((mix == std::string_view("bf16") && half) || mix == std::string_view("q8_0")) {
      EXPECT_LE(mapped + expected, weight_bytes(path, DType::f32) * 21 / 20) << name;
    }
  }
}

// Kilobytes of this process that lie on pages of files.
int64_t on_files() {
  int64_t kilobytes = 0;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:")) kilobytes = std::stoll(line.substr(8));
  return kilobytes;
}

TEST_F(ModelSize, PagesOfAFileComeBack) {
  const fs::path path = written("q8_0");
  const Gguf file(path);
  const Tensor weight = file.get("blk.0.ffn_down.weight");
  const Tensor before = cast(weight, DType::f32);
  const int64_t resident = on_files();
  weight.forget();
  EXPECT_LT(on_files(), resident);
  EXPECT_EQ(cast(weight, DType::f32).to_vector<float>(), before.to_vector<float>()) << "it comes from the file again";
  const Tensor own = Tensor::from<float>({2}, {1, 2});
  own.forget();
  EXPECT_EQ(own.to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST_F(ModelSize, AdviceNamesWhatFits) {
  const fs::path path = written("f32");
  const Spec& spec = model_->spec();
  Use use{.packing = PackOptions{}, .context = 64};
  const uint64_t cache = cache_bytes(spec, use);
  const auto with = [&](std::string_view mix) { return gguf_bytes(spec, gguf_mix(mix)) + cache; };
  EXPECT_NE(memory_advice(path, spec, use, with("q8_0")).find("--type q8_0"), std::string::npos);
  EXPECT_NE(memory_advice(path, spec, use, with("q8_0") - 1).find("--type q6_k"), std::string::npos);
  EXPECT_NE(memory_advice(path, spec, use, with("q4_k_m")).find("--type q4_k_m"), std::string::npos);
  EXPECT_NE(memory_advice(path, spec, use, 1000).find("smaller model"), std::string::npos);
  // A long context of many sequences: a cache of fewer bits, or fewer positions.
  use.sequences = 1000;
  const uint64_t weights = weight_bytes(planned_weights(path, spec, use));
  const std::string advice = memory_advice(path, spec, use, weights + cache_bytes(spec, use) / 2);
  EXPECT_NE(advice.find("--cache q8_0"), std::string::npos) << advice;
  EXPECT_NE(advice.find("--context of 32"), std::string::npos) << advice;
  EXPECT_NE(advice.find("fewer texts at a time (500)"), std::string::npos) << advice;
}

TEST_F(ModelSize, AdviceCountsTheCacheToo) {
  const fs::path path = written("f32");
  const Spec& spec = model_->spec();
  Use use{.packing = PackOptions{}, .context = 64, .sequences = 64};
  Use small = use;
  small.cache = DType::q8_0;
  ASSERT_LT(cache_bytes(spec, small), cache_bytes(spec, use));
  const auto of = [&](std::string_view mix) { return gguf_bytes(spec, gguf_mix(mix)); };
  // No measure alone is enough: the best mix with which a smaller cache is.
  const std::string both = memory_advice(path, spec, use, of("q6_k") + cache_bytes(spec, small));
  EXPECT_NE(both.find("--type q6_k"), std::string::npos) << both;
  EXPECT_NE(both.find("and with --cache q8_0"), std::string::npos) << both;
  EXPECT_EQ(both.find("smaller model"), std::string::npos) << both;
  // Not even with the smallest: fewer texts, whatever their cache.
  Use few = use;
  few.sequences = 2;
  const std::string fewer = memory_advice(path, spec, use, of("q2_k") + cache_bytes(spec, few));
  EXPECT_NE(fewer.find("--type q2_k"), std::string::npos) << fewer;
  EXPECT_NE(fewer.find("(2)"), std::string::npos) << fewer;
  // Nor so: a shorter context, of one text.
  Use shorter = small;
  shorter.sequences = 1;
  shorter.context = 20;
  const std::string all = memory_advice(path, spec, use, of("q2_k") + cache_bytes(spec, shorter));
  EXPECT_NE(all.find("--type q2_k"), std::string::npos) << all;
  EXPECT_NE(all.find("--cache q8_0"), std::string::npos) << all;
  EXPECT_NE(all.find("--context of 20"), std::string::npos) << all;
  // A model of bf16 has a cache of bf16, which it would lose with it.
  Use narrow = use;
  narrow.compute = DType::bf16;
  narrow.sequences = 1;
  const std::string wider = memory_advice(path, spec, narrow, of("q8_0") + cache_bytes(spec, narrow));
  EXPECT_NE(wider.find("--type q6_k"), std::string::npos) << wider;
  // What is left over when nothing helps says no more than it knows.
  EXPECT_EQ(memory_advice(path, spec, use, of("q2_k") / 2).find("would fit"), std::string::npos);
}

TEST_F(ModelSize, TooBigIsRefusedWithWhatIsMissing) {
  const fs::path path = written("q8_0");
  Use use{.packing = PackOptions{}, .context = 64};
  check_memory(path, model_->spec(), use);
  use.sequences = int64_t{1} << 40;
  try {
    check_memory(path, model_->spec(), use);
    FAIL() << "so much memory";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("more than there are"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace qkv
