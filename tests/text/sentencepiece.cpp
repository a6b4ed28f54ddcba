// SentencePiece models that lie, and the parts that read them.
#include "qkv/text/sentencepiece.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/text/grapheme.h"
#include "qkv/text/precompiled.h"
#include "qkv/text/tokenizer.h"
#include "tests/text/golden.h"
#include "tests/text/message.h"

#include <cstring>
#include <map>
#include <random>

namespace qkv {
namespace {

// Protocol buffers by hand.
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(uint32_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(uint32_t field, std::string_view value) {
  return varint(field << 3 | 2) + varint(value.size()) + std::string(value);
}
std::string real(uint32_t field, float value) {
  std::string raw(4, '\0');
  std::memcpy(raw.data(), &value, 4);
  return varint(field << 3 | 5) + raw;
}
std::string piece(std::string_view text, float score, uint64_t type = 1) {
  return bytes(1, bytes(1, text) + real(2, score) + number(3, type));
}
std::string trainer(uint64_t model_type, std::string_view more = "") {
  return bytes(2, number(3, model_type) + std::string(more));
}

std::string load(const std::string& model) {
  return message([&] { SentencePieceFile::parse(model, "m.model"); });
}

std::vector<std::string> pieces_of(const std::string& model, std::string_view text) {
  const auto file = std::make_shared<const SentencePieceFile>(SentencePieceFile::parse(model, "m.model"));
  std::vector<ModelToken> tokens;
  SentencePieceModel(file).tokenize(text, tokens);
  std::vector<std::string> out;
  for (const ModelToken& token : tokens) out.emplace_back(text.substr(token.begin, token.end - token.begin));
  return out;
}

TEST(SentencePieceFile, Refuses) {
  const std::string unknown = piece("<unk>", 0, 2);
  EXPECT_EQ(load(unknown + piece("a", -1)), "no error");
  EXPECT_MENTIONS(load(""), "has 0 unknown pieces");
  EXPECT_MENTIONS(load("hello, this is no model"), "m.model");
  EXPECT_MENTIONS(load(unknown + unknown), "there twice");
  EXPECT_MENTIONS(load(unknown + piece("<unk2>", 0, 2)), "has 2 unknown pieces");
  EXPECT_MENTIONS(load(unknown + piece("", 0)), "piece 1 is empty");
  EXPECT_MENTIONS(load(unknown + piece("a", -1) + piece("a", -2)), "piece 2 'a' is there twice");
  EXPECT_MENTIONS(load(unknown + piece("a", NAN)), "no finite score");
  EXPECT_MENTIONS(load(unknown + piece("a", 0, 9)), "piece of type 9");
  EXPECT_MENTIONS(load(unknown + piece("a\xFF", 0)), "not valid UTF-8");
  EXPECT_MENTIONS(load(unknown + piece("zz", 0, 6)), "is not a byte");
  EXPECT_MENTIONS(load(unknown + trainer(1, number(35, 1))), "for 0 of the 256 bytes");
  EXPECT_MENTIONS(load(unknown + trainer(3)), "model type 3");
  EXPECT_MENTIONS(load(unknown + bytes(1, bytes(2, "score"))), "unexpected type");
  EXPECT_MENTIONS(load(unknown + number(1, 3)), "unexpected type");
}

TEST(SentencePieceFile, CutAnywhere) {
  const std::string whole = read_file(golden / "sp_bpe/tokenizer.model");
  for (size_t size = 0; size < 2000; ++size)
    message([&] { SentencePieceFile::parse(whole.substr(0, size), "m.model"); });  // an Error or a smaller model
  EXPECT_MENTIONS(load(whole.substr(0, whole.size() - 3)), "cut off");
}

TEST(SentencePieceFile, FlippedBytesAreRefusedOrWork) {
  const std::string whole = read_file(golden / "sp_unigram/spiece.model");
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    std::string broken = whole;
    for (int i = 0; i < 20; ++i) broken[random() % broken.size()] = static_cast<char>(random());
    try {
      const auto file = std::make_shared<const SentencePieceFile>(SentencePieceFile::parse(broken, "m.model"));
      AlignedText text = AlignedText::of("Ａ café ﬁne ½", 0, 18, true);
      SentencePieceNormalizer(file).normalize(text);
      std::vector<ModelToken> tokens;
      SentencePieceModel(file).tokenize(text.text, tokens);
    } catch (const Error&) {
    }
  }
}

TEST(SentencePieceModel, UnusedPiecesFallApart) {
  // "abc" is unused: it leads on to "abcd", and alone is "ab" and "c".
  const std::string model = piece("<unk>", 0, 2) + piece("ab", -1) + piece("abc", -2, 5) + piece("abcd", -3) +
                            piece("a", -4) + piece("b", -5) + piece("c", -6) + piece("d", -7) + trainer(2);
  EXPECT_EQ(pieces_of(model, "abcd"), (std::vector<std::string>{"abcd"}));
  EXPECT_EQ(pieces_of(model, "abc"), (std::vector<std::string>{"ab", "c"}));
  EXPECT_EQ(pieces_of(model, "xyabc"), (std::vector<std::string>{"xy", "ab", "c"}));
}

TEST(SentencePieceModel, UserDefinedPiecesWin) {
  const std::string model =
      piece("<unk>", 0, 2) + piece("ab", -1) + piece("bc", 0, 4) + piece("a", -4) + piece("b", -5) + piece("c", -6);
  for (const uint64_t kind : {1, 2})
    EXPECT_EQ(pieces_of(model + trainer(kind), "abc"), (std::vector<std::string>{"a", "bc"})) << kind;
}

TEST(Charsmap, RefusesSizesThatDoNotFit) {
  for (const std::string& blob : {std::string("abc"),
                                  std::string("\xFF\xFF\xFF\x7F"
                                              "abcd"),
                                  std::string("\x03\0\0\0abc", 7), std::string("\0\0\0\0", 4),
                                  std::string("\x04\0\0\0"
                                              "abcd"
                                              "\xFF",
                                              9)})
    EXPECT_NE(message([&] { Charsmap(blob, "map"); }), "no error");
  const Charsmap zeros(std::string("\x04\0\0\0\0\0\0\0", 8), "map");
  EXPECT_EQ(zeros.longest("abc").bytes, 0u);
}

TEST(Base64, BothWays) {
  std::mt19937 random(2);
  for (size_t size = 0; size < 40; ++size) {
    std::string raw(size, '\0'), back;
    for (char& c : raw) c = static_cast<char>(random());
    ASSERT_TRUE(decode_base64(encode_base64(raw), back));
    EXPECT_EQ(back, raw);
  }
  std::string out;
  EXPECT_EQ(encode_base64("hello"), "aGVsbG8=");
  for (const char* bad : {"abc", "ab=c", "a===", "ab c", "====", "aGVsbG8=aGVs"})
    EXPECT_FALSE(decode_base64(bad, out)) << bad;
}

TEST(Grapheme, Clusters) {
  const auto length = [](std::string_view text) { return grapheme_length(text); };
  EXPECT_EQ(length("ab"), 1u);
  EXPECT_EQ(length("\r\nx"), 2u);
  EXPECT_EQ(length("e\u0301x"), 3u);
  EXPECT_EQ(length("\u1100\u1161\u11A8\u1100"), 9u);
  EXPECT_EQ(length("👨\u200D👩x"), 11u);
  EXPECT_EQ(length("🇩🇪🇫🇷"), 8u);
}

TEST(Trie, FindsWhatAMapHolds) {
  std::mt19937 random(3);
  std::map<std::string, int32_t> map;
  for (int i = 0; i < 3000; ++i) {
    std::string key;
    for (size_t n = 1 + random() % 6; n > 0; --n)
      key += static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 3);
    map.emplace(key, i);
  }
  std::vector<std::pair<std::string_view, int32_t>> keys(map.begin(), map.end());
  const Trie trie(keys);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int n = 0; n < 8; ++n) text += static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 3);
    std::map<std::string, int32_t> expected, got;
    for (size_t n = 1; n <= text.size(); ++n)
      if (const auto at = map.find(text.substr(0, n)); at != map.end()) expected.insert(*at);
    trie.for_each_prefix(text.data(), text.data() + text.size(),
                         [&](uint32_t n, int32_t value) { got.emplace(text.substr(0, n), value); });
    ASSERT_EQ(got, expected);
  }
  EXPECT_TRUE(Trie({{"", 1}}).empty());
}

}  // namespace
}  // namespace qkv
