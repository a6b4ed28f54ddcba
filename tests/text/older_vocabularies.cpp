// CTRL's and Transformer-XL's vocabularies.
#include "qkv/core/error.h"
#include "qkv/text/tokenizer.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <set>

namespace qkv {
namespace {

class OlderVocabularies : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-older-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, std::string_view text) const { write_file(folder_ / name, text); }
  std::string error() const {
    try {
      Tokenizer::load(folder_);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }
  fs::path folder_;
};

using Tokens = std::vector<std::string>;

// The results are those of transformers' CTRLTokenizer.
TEST_F(OlderVocabularies, Ctrl) {
  write("vocab.json", R"({"adapt": 0, "re@@": 1, "a@@": 2, "apt": 3, "c@@": 4, "t": 5, "<unk>": 6})");
  write("merges.txt", "#version: 0.2\na p\nap t</w>\nr e\na d\nad apt</w>\n");
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  const Encoding encoding = tokenizer.encode("adapt react  readapt\napt");
  EXPECT_EQ(encoding.tokens,
            (Tokens{"adapt", "re@@", "a@@", "c@@", "t", "re@@", "<unk>", "<unk>", "<unk>", "<unk>", "apt"}));
  EXPECT_EQ(tokenizer.encode("readapt").tokens, (Tokens{"re@@", "adapt"}));
  EXPECT_EQ(tokenizer.encode("adx").tokens, (Tokens{"<unk>", "<unk>"}));  // "ad" is a step on the way and no token
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ids("adapt react apt")), "adapt react apt");
  EXPECT_EQ(encoding.offsets[1], (std::pair<int32_t, int32_t>(6, 8)));
  EXPECT_EQ(tokenizer.encode_ids("adapt react  readapt\napt"), encoding.ids);

  const fs::path copy = folder_ / "copy";
  tokenizer.save(copy);
  EXPECT_EQ(Tokenizer::load(copy).encode_ids("readapt react"), tokenizer.encode_ids("readapt react"));
}

TEST_F(OlderVocabularies, Gpt2WithSignsThatCtrlUsesIsNotCtrl) {
  write("encoder.json", R"({"T": 0, "h": 1, "e": 2, "Ġ": 3, "@": 4, "@@": 5, "@@@@": 6, "Ġ@@": 7, "he": 8, "The": 9})");
  write("vocab.bpe", "#version: 0.2\n@ @\n@@ @@\nĠ @@\nh e\nT he\n");
  EXPECT_EQ(Tokenizer::load(folder_).encode("The he @@@@@@").tokens, (Tokens{"The", "Ġ", "he", "Ġ", "@@@@", "@@"}));
}

TEST_F(OlderVocabularies, CtrlThatIsDamaged) {
  write("vocab.json", R"({"re@@": 1, "a": 1})");
  write("merges.txt", "");
  EXPECT_NE(error(), "");
  write("vocab.json", R"({"re@@": 1, "a": 2})");
  for (const char* merges : {"r\n", " e 1\n", "r  1\n"}) {
    write("merges.txt", merges);
    EXPECT_NE(error().find("merges.txt"), std::string::npos) << merges;
  }
  write("merges.txt", "r e 1\n");
  EXPECT_EQ(error(), "");
  write("merges.txt", "r e\na b\n");  // without a token for what is unknown, a step on the way cannot be told
  EXPECT_THROW(Tokenizer::load(folder_).encode("abre"), Error);
}

TEST_F(OlderVocabularies, TransformerXl) {
  write("tokenizer_config.json", R"({"tokenizer_class": "TransfoXLTokenizer", "lower_case": true})");
  write("vocab.txt", "<eos>\n<unk>\nthe 17\n , \nriver\n");
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  EXPECT_EQ(tokenizer.encode_ids("The river , the  sea <eos>"), (std::vector<int32_t>{2, 4, 3, 2, 1, 0}));
  EXPECT_EQ(tokenizer.special().eos, 0);
  EXPECT_EQ(tokenizer.special().unk, 1);
}

// {"idx2sym": ["<unk>", "the"], "lower_case": True, "counter": Counter({"the": 3})}
std::string vocabulary_pickle(const std::string& counter) {
  return "\x80\x02}(U\x07idx2sym](U\x05<unk>U\x03theeU\x0alower_case\x88U\x07"
         "counter" +
         counter + "u.";
}
const std::string counts =
    "ccollections\nCounter\n}U\x03the"
    "K\x03s\x85R";

// The words are those of sacremoses' normalizer and tokenizer, and numbers cut as transformers' TransfoXLTokenizer
// does.
TEST_F(OlderVocabularies, TransformerXlCutsWordsAsMosesDoes) {
  const std::vector<std::pair<std::string, Tokens>> cases = {
      {"The ship's 5,300 men don't co-operate (as of Jan. 7) .",
       {"The", "ship", "'s", "5", "@,@", "300", "men", "don", "'t", "co", "@-@", "operate", "(", "as", "of", "Jan.",
        "7", ")", "."}},
      {"He said: “No.” Mr. Smith of the U.S. paid $1.73 -- 50 % ...",
       {"He",   "said", ":", "\"", "No",  ".",  "\"", "Mr.", "Smith", "of", "the",
        "U.S.", "paid", "$", "1",  "@.@", "73", "--", "50",  "%",     "..."}},
      {"Rock'n'roll, e.g. 東京's [1990's]",
       {"Rock", "'n'roll", ",", "e.g.", "東", "京", "'", "s", "[", "1990", "'s", "]"}},
  };
  std::string words = "<eos>\n<unk>\n";
  std::set<std::string> known;
  for (const auto& [text, tokens] : cases)
    for (const std::string& token : tokens)
      if (known.insert(token).second) words += token + "\n";
  write("tokenizer_config.json", R"({"tokenizer_class": "TransfoXLTokenizer"})");
  write("vocab.txt", words);
  const Tokenizer tokenizer = Tokenizer::load(folder_);
  for (const auto& [text, tokens] : cases) {
    const Encoding encoding = tokenizer.encode(text);
    EXPECT_EQ(encoding.tokens, tokens) << text;
    EXPECT_EQ(tokenizer.encode_ids(text), encoding.ids);
  }
  EXPECT_EQ(tokenizer.encode(cases[0].first).offsets[4], (std::pair<int32_t, int32_t>(12, 13))) << "the comma of 5,300";
}

TEST_F(OlderVocabularies, TransformerXlAsPickle) {
  write("vocab.pkl", vocabulary_pickle(counts));
  EXPECT_EQ(Tokenizer::load(folder_).encode_ids("THE the sea"), (std::vector<int32_t>{1, 1, 0}));
  fs::remove(folder_ / "vocab.pkl");
  const std::string torch("\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.", 25);
  write("vocab.bin", torch + vocabulary_pickle(counts));
  EXPECT_EQ(Tokenizer::load(folder_).encode_ids("THE the sea"), (std::vector<int32_t>{1, 1, 0}));
}

TEST_F(OlderVocabularies, PicklesThatLie) {
  const auto expect = [&](const std::string& bytes, const char* says) {
    write("vocab.pkl", bytes);
    EXPECT_NE(error().find(says), std::string::npos) << says << ": " << error();
  };
  expect(vocabulary_pickle("cos\nsystem\n(U\x04"
                           "truetR"),
         "asks for Python's os.system");
  expect("", "is cut off");
  expect("N.", "no list of words");
  expect("}U\x07idx2symK\x01s.", "no list of words");
  expect(
      "}U\x07idx2sym]K\x01"
      "as.",
      "not text");
  expect("}U\x07idx2sym](U\x01xU\x01xes.", "twice");
  expect(
      "}U\x07idx2sym]U\x01\xff"
      "as.",
      "UTF-8");
  expect("}U\x07idx2sym]s.", "no words");
}

TEST_F(OlderVocabularies, TiktokensFormIsNamed) {
  write("tokenizer.model", "IQ== 0\nIg== 1\n");
  EXPECT_NE(error().find("tiktoken"), std::string::npos) << error();
  EXPECT_NE(error().find("tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace qkv
