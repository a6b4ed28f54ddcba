#include "qkv/tasks/sentence_modules.h"

#include "qkv/core/error.h"
#include "tests/tasks/tiny_model.h"

namespace qkv {
namespace {

class Modules : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder / "1_Pooling");
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const Json& pooling, const char* last = "sentence_transformers.models.Normalize") const {
    write_file(folder / "modules.json",
               Json{{{"idx", 0}, {"path", ""}, {"type", "sentence_transformers.models.Transformer"}},
                    {{"idx", 1}, {"path", "1_Pooling"}, {"type", "sentence_transformers.models.Pooling"}},
                    {{"idx", 2}, {"path", "2_Last"}, {"type", last}}}
                   .dump());
    write_file(folder / "1_Pooling/config.json", pooling.dump());
  }
  fs::path folder = fs::temp_directory_path() / fmt::format("qkv-modules-{}", ::getpid());
};

TEST_F(Modules, WithoutFilesTheMean) {
  const SentenceModules modules = SentenceModules::read(folder);
  EXPECT_EQ(modules.model, folder);
  EXPECT_EQ(modules.pooling, Pooling::mean);
  EXPECT_FALSE(modules.normalise);
}

TEST_F(Modules, FlagsAndNames) {
  write({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
  EXPECT_EQ(SentenceModules::read(folder).model, folder);  // and not folder/
  EXPECT_EQ(SentenceModules::read(folder).pooling, Pooling::cls);
  EXPECT_TRUE(SentenceModules::read(folder).normalise);
  write({{"pooling_mode", "lasttoken"}});
  EXPECT_EQ(SentenceModules::read(folder).pooling, Pooling::last);
  write_file(folder / "sentence_bert_config.json", R"({"max_seq_length": 77})");
  write_file(folder / "config_sentence_transformers.json",
             R"({"prompts": {"q": "query: "}, "default_prompt_name": "q"})");
  EXPECT_EQ(SentenceModules::read(folder).max_length, 77);
  EXPECT_EQ(SentenceModules::read(folder).prompt, "query: ");
}

TEST_F(Modules, WhatIsNotSupportedIsRefused) {
  write({{"pooling_mode_mean_tokens", true}, {"pooling_mode_max_tokens", true}});
  EXPECT_THROW(SentenceModules::read(folder), Error);
  write({{"pooling_mode", "attention"}});
  EXPECT_THROW(SentenceModules::read(folder), Error);
  write(Json::object());
  EXPECT_THROW(SentenceModules::read(folder), Error);
  write({{"pooling_mode", "mean"}}, "sentence_transformers.models.Dense");
  EXPECT_THROW(SentenceModules::read(folder), Error);
  write_file(folder / "modules.json", "{}");
  EXPECT_THROW(SentenceModules::read(folder), Error);
  write_file(folder / "modules.json", "[3]");
  EXPECT_THROW(SentenceModules::read(folder), Error);
}

}  // namespace
}  // namespace qkv
