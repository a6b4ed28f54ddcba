// Every case of tests/golden/tokenizers: what the Hugging Face library makes of tricky strings.
#include "qkv/core/json.h"
#include "qkv/text/tokenizer.h"
#include "tests/text/golden.h"

#include <filesystem>
#include <fstream>

namespace qkv {
namespace {

struct Case {
  std::string text;
  std::optional<std::string> pair;
  Json expected;
};

std::vector<Case> read_cases(const std::string& name) {
  std::ifstream file(golden / name / "cases.jsonl");
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    Json json = Json::parse(line);
    Case one{json["text"], std::nullopt, json};
    if (json.contains("pair")) one.pair = json["pair"];
    cases.push_back(std::move(one));
  }
  return cases;
}

void expect_cases(const Tokenizer& tokenizer, const std::string& name, std::string_view without = "") {
  const std::vector<Case> cases = read_cases(name);
  ASSERT_GT(cases.size(), 300u);
  for (const Case& one : cases) {
    if (!without.empty() && one.text.find(without) != std::string::npos) continue;
    SCOPED_TRACE(name + ": " + Json(one.text).dump());
    const Encoding got = one.pair ? tokenizer.encode_pair(one.text, *one.pair) : tokenizer.encode(one.text);
    EXPECT_EQ(Json(got.ids), one.expected["ids"]);
    EXPECT_EQ(Json(got.tokens), one.expected["tokens"]);
    EXPECT_EQ(Json(got.offsets), one.expected["offsets"]);
    if (one.pair) {
      EXPECT_EQ(Json(got.type_ids), one.expected["type_ids"]);
    } else {
      EXPECT_EQ(tokenizer.encode_ids(one.text), got.ids);
      EXPECT_EQ(tokenizer.encode_ids(one.text), got.ids) << "the second time, from the cache";
    }
    EXPECT_EQ(Json(tokenizer.decode(got.ids)), one.expected["decoded"]);
    EXPECT_EQ(Json(tokenizer.decode(got.ids, true)), one.expected["decoded_clean"]);

    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const int32_t id : got.ids) streamed += stream.push(id);
    EXPECT_EQ(Json(streamed + stream.finish()), one.expected["decoded_clean"]);
  }
}

class TokenizerGolden : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerGolden, TokenizerJson) { expect_cases(Tokenizer::load(golden / GetParam()), GetParam()); }

TEST_P(TokenizerGolden, SavedAndLoadedAgain) {
  const fs::path directory = fs::temp_directory_path() / ("qkv_saved_" + std::string(GetParam()));
  Tokenizer::load(golden / GetParam()).save(directory);
  expect_cases(Tokenizer::load(directory), GetParam());
  fs::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGolden,
                         testing::Values("gpt2", "roberta", "bert_cased", "bert_uncased", "openai_gpt", "llama",
                                         "llama3", "metaspace_bpe", "unigram", "t5", "albert"),
                         [](const auto& one) { return std::string(one.param); });

class OlderLayout : public testing::TestWithParam<const char*> {};

TEST_P(OlderLayout, VocabularyAndMerges) {
  const fs::path directory = fs::temp_directory_path() / ("qkv_older_" + std::string(GetParam()));
  fs::remove_all(directory);
  fs::copy(golden / GetParam(), directory);
  fs::remove(directory / "tokenizer.json");
  expect_cases(Tokenizer::load(directory), GetParam());
  fs::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(All, OlderLayout,
                         testing::Values("gpt2", "roberta", "bert_cased", "bert_uncased", "openai_gpt"),
                         [](const auto& one) { return std::string(one.param); });

void expect_pieces(const Tokenizer& tokenizer, const std::string& name, const std::string& prefix = "") {
  const std::vector<Case> cases = read_cases(name);
  ASSERT_GT(cases.size(), 300u);
  for (const Case& one : cases) {
    SCOPED_TRACE(name + ": " + Json(one.text).dump());
    const Encoding got = tokenizer.encode(one.text);
    EXPECT_EQ(Json(got.ids), one.expected[prefix + "ids"]);
    EXPECT_EQ(Json(got.tokens), one.expected[prefix + "tokens"]);
    EXPECT_EQ(Json(got.offsets), one.expected[prefix + "offsets"]);
    EXPECT_EQ(tokenizer.encode_ids(one.text), got.ids);
    EXPECT_EQ(Json(tokenizer.decode(got.ids)), one.expected[prefix + "decoded"]);
  }
}

class SentencePieceGolden : public testing::TestWithParam<const char*> {};

TEST_P(SentencePieceGolden, Model) { expect_pieces(Tokenizer::load(golden / GetParam()), GetParam()); }

TEST_P(SentencePieceGolden, SavedAndLoadedAgain) {
  const fs::path directory = fs::temp_directory_path() / ("qkv_saved_" + std::string(GetParam()));
  fs::remove_all(directory);
  Tokenizer::load(golden / GetParam()).save(directory);
  expect_pieces(Tokenizer::load(directory), GetParam());
  fs::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceGolden,
                         testing::Values("sp_unigram", "sp_unigram_options", "sp_bpe", "sp_bpe_nfkc", "marian"),
                         [](const auto& one) { return std::string(one.param); });

TEST(SentencePieceGolden, MarianTarget) {
  expect_pieces(Tokenizer::load(golden / "marian/target.spm"), "marian", "target_");
}

// The .model files give what the tokenizer.json that was made from them gives.
class SentencePieceAsJson : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(SentencePieceAsJson, Model) {
  const auto [name, model] = GetParam();
  const fs::path directory = fs::temp_directory_path() / ("qkv_model_" + std::string(name));
  fs::remove_all(directory);
  fs::create_directories(directory);
  fs::copy(golden / model, directory);
  fs::copy(golden / name / "tokenizer_config.json", directory);
  // This tokenizer.json numbers the sentinels upwards; published T5 models, and ours, downwards.
  expect_cases(Tokenizer::load(directory), name, "<extra_id_");
  fs::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceAsJson,
                         testing::Values(std::pair("t5", "sp_unigram/spiece.model"),
                                         std::pair("albert", "albert/spiece.model"),
                                         std::pair("llama", "sp_bpe/tokenizer.model")),
                         [](const auto& one) { return std::string(one.param.first); });

}  // namespace
}  // namespace qkv
