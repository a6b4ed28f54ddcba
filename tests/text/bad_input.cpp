// Tokenizer files that lie, and text that is not text.
#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/text/tokenizer.h"
#include "tests/text/golden.h"
#include "tests/text/message.h"

namespace qkv {
namespace {

Json small_bpe() {
  return {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
}

std::string load_message(const Json& json) {
  return message([&] { Tokenizer::from_json(json, Json::object(), "tokenizer.json").encode_ids("ab"); });
}

TEST(TokenizerBadInput, TruncatedFileNamesItself) {
  const std::string whole = read_file(golden / "gpt2/tokenizer.json");
  const fs::path path = fs::temp_directory_path() / "qkv_truncated" / "tokenizer.json";
  fs::create_directories(path.parent_path());
  for (const size_t size : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 2}) {
    write_file(path, whole.substr(0, size));
    EXPECT_MENTIONS(message([&] { Tokenizer::load(path); }), "not valid JSON");
  }
  fs::remove_all(path.parent_path());
}

TEST(TokenizerBadInput, TheSmallOneIsGood) { EXPECT_EQ(load_message(small_bpe()), "no error"); }

TEST(TokenizerBadInput, WrongTypes) {
  EXPECT_MENTIONS(load_message(3), "expected an object");
  EXPECT_MENTIONS(load_message(Json::array()), "expected an object");
  EXPECT_MENTIONS(load_message(Json::object()), "model");
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens", "model"}) {
    Json json = small_bpe();
    json[key] = 5;
    EXPECT_MENTIONS(load_message(json), key);
    json[key] = Json::object({{"type", 7}});
    EXPECT_MENTIONS(load_message(json), key);
  }
  Json json = small_bpe();
  json["model"]["vocab"]["a"] = "zero";
  EXPECT_MENTIONS(load_message(json), "model.vocab] expected an integer, got \"zero\"");
}

TEST(TokenizerBadInput, UnknownKindsListTheKnown) {
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    Json json = small_bpe();
    json[key] = {{"type", "Nonsense"}};
    EXPECT_MENTIONS(load_message(json), "'Nonsense' is not supported");
    EXPECT_MENTIONS(load_message(json), "supported: ");
  }
  Json json = small_bpe();
  json["model"]["type"] = "Nonsense";
  EXPECT_MENTIONS(load_message(json), "model 'Nonsense' is not supported");
}

TEST(TokenizerBadInput, Merges) {
  Json json = small_bpe();
  json["model"]["merges"] = {"a c"};
  EXPECT_MENTIONS(load_message(json), "token 'c' is not in the vocabulary");
  json["model"]["merges"] = {"b a"};
  EXPECT_MENTIONS(load_message(json), "token 'ba' is not in the vocabulary");
  for (const Json& bad :
       {Json("ab"), Json("a b a"), Json({"a"}), Json({"a", "b", "a"}), Json({"a", 1}), Json(nullptr)}) {
    json["model"]["merges"] = Json::array({bad});
    EXPECT_MENTIONS(load_message(json), "model.merges[0]");
  }
  json["model"].erase("merges");
  EXPECT_MENTIONS(load_message(json), "merges] is missing");
}

TEST(TokenizerBadInput, Ids) {
  Json json = small_bpe();
  json["model"]["vocab"]["b"] = 0;
  EXPECT_MENTIONS(load_message(json), "both have id 0");
  for (const int64_t id : {int64_t{-1}, int64_t{1} << 31, int64_t{1} << 62}) {
    json["model"]["vocab"]["b"] = id;
    EXPECT_MENTIONS(load_message(json), "outside 0..");
  }
  json["model"]["vocab"]["b"] = uint64_t{1} << 63;
  EXPECT_MENTIONS(load_message(json), "too large");
  json["model"]["vocab"]["b"] = 900;  // a gap is allowed
  const Tokenizer gap = Tokenizer::from_json(json, {}, "tokenizer.json");
  EXPECT_EQ(gap.vocab_size(), 901);
  EXPECT_EQ(gap.token(500), "");
  EXPECT_EQ(gap.decode(std::vector<int32_t>{0, 500, 900, 901, -1}), "a b");
  json["model"]["vocab"] = Json::object();
  EXPECT_MENTIONS(load_message(json), "is empty");
}

TEST(TokenizerBadInput, AddedTokens) {
  const auto with = [](const Json& entries) {
    Json json = small_bpe();
    json["added_tokens"] = entries;
    return load_message(json);
  };
  EXPECT_EQ(with({{{"id", 3}, {"content", "<s>"}}}), "no error");
  EXPECT_MENTIONS(with({{{"id", 1}, {"content", "<s>"}}}), "which the vocabulary gives to 'b'");
  EXPECT_MENTIONS(with({{{"id", 3}, {"content", "b"}}}), "but 1 in the vocabulary");
  EXPECT_MENTIONS(with({{{"id", -3}, {"content", "<s>"}}}), "is not a token id");
  EXPECT_MENTIONS(with({{{"id", 1 << 30}, {"content", "<s>"}}}), "is not a token id");
  EXPECT_MENTIONS(with({{{"id", 3}, {"content", "<s>"}}, {{"id", 3}, {"content", "</s>"}}}), "there twice");
  EXPECT_MENTIONS(with({{{"id", 3}, {"content", "<s>"}}, {{"id", 4}, {"content", "<s>"}}}), "there twice");
  Json json = small_bpe();
  json["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"[CLS]", 77}}, {"sep", {"[SEP]", 1}}};
  EXPECT_MENTIONS(load_message(json), "adds id 77, which no token has");
}

TEST(TokenizerBadInput, AbsurdNesting) {
  std::string open, close;
  for (int i = 0; i < 20000; ++i) {
    open += R"({"type":"Sequence","normalizers":[)";
    close += "]}";
  }
  const std::string text = R"({"normalizer":)" + open + close + "}";
  EXPECT_MENTIONS(message([&] { parse_json(text, "tokenizer.json"); }), "nests deeper");
}

TEST(TokenizerBadInput, Patterns) {
  Json json = small_bpe();
  for (const char* pattern : {"(", "[a-", R"(\C)", R"([\W])"}) {
    json["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
    EXPECT_MENTIONS(load_message(json), "pre_tokenizer.pattern.Regex");
  }
  json["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", R"((a+)+\d)"}}}, {"behavior", "Isolated"}};
  const Tokenizer slow = Tokenizer::from_json(json, {}, "tokenizer.json");
  EXPECT_MENTIONS(message([&] { slow.encode(std::string(200, 'a').append("b")); }), "failed to match");
}

TEST(TokenizerBadInput, InvalidUtf8NamesThePosition) {
  const Tokenizer tokenizer = Tokenizer::load(golden / "gpt2");
  for (const char* text : {"abc\xFF", "abc\xC3", "abc\xED\xA0\x80", "abc\xF4\x90\x80\x80", "abc\xC0\x80"}) {
    EXPECT_MENTIONS(message([&] { tokenizer.encode(text); }), "at position 3");
    EXPECT_MENTIONS(message([&] { tokenizer.encode_ids(text); }), "at position 3");
  }
}

TEST(TokenizerBadInput, MissingFiles) {
  const fs::path directory = fs::temp_directory_path() / "qkv_missing";
  fs::remove_all(directory);
  EXPECT_MENTIONS(message([&] { Tokenizer::load(directory); }), "does not exist");
  fs::create_directories(directory);
  EXPECT_MENTIONS(message([&] { Tokenizer::load(directory); }), "has no tokenizer");
  write_file(directory / "spiece.model", "x");
  EXPECT_MENTIONS(message([&] { Tokenizer::load(directory); }), "is cut off");
  fs::remove(directory / "spiece.model");
  write_file(directory / "vocab.json", "{\"a\": 0}");
  EXPECT_MENTIONS(message([&] { Tokenizer::load(directory); }), "without its merges.txt");
  fs::remove(directory / "vocab.json");
  write_file(directory / "vocab.txt", "[UNK]\nthe\nthe\n");
  EXPECT_MENTIONS(message([&] { Tokenizer::load(directory); }), "line 3: token 'the' is there twice");
  fs::remove_all(directory);
}

}  // namespace
}  // namespace qkv
