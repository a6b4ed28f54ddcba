// Text that appears token by token is whole characters, and in the end the whole text.
#include "qkv/text/tokenizer.h"
#include "qkv/text/train.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  StreamDecoder decoder(tokenizer);
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(decoder.push(id));
  pieces.push_back(decoder.finish());
  return pieces;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

TEST(StreamDecoder, CharactersComeWhole) {
  const Tokenizer bytes = byte_tokenizer({});
  const std::string text = "aé€😀z";
  const std::vector<std::string> pieces = pieces_of(bytes, bytes.encode_ids(text));
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "", "é", "", "", "€", "", "", "", "😀", "z", ""}));
}

TEST(StreamDecoder, BrokenBytesBecomeReplacements) {
  const Tokenizer bytes = byte_tokenizer({});
  for (const std::vector<int32_t>& ids : std::vector<std::vector<int32_t>>{
           {0xE2, 0x82}, {0xFF, 'a'}, {'a', 0x80, 0x80, 'b'}, {0xF0, 0x9F, 0x98, 'x'}, {0xC3, 0xC3, 0xA9}}) {
    const std::string text = joined(pieces_of(bytes, ids));
    EXPECT_EQ(text, bytes.decode(ids, true));
    EXPECT_NO_THROW(require_utf8(text, "text"));
  }
}

TEST(StreamDecoder, AStreamOfBrokenBytesDoesNotHoldForEver) {
  const Tokenizer bytes = byte_tokenizer({});
  StreamDecoder decoder(bytes);
  std::string text;
  for (int i = 0; i < 200; ++i) text += decoder.push(0x80);
  EXPECT_FALSE(text.empty());
}

TEST(StreamDecoder, PiecesTogetherAreTheDecodedText) {
  const std::string_view corpus = "the quick brown fox — «naïve» déjà vu, 你好 😀😀 the the the quick fox";
  const Tokenizer bpe = train_bpe(std::vector<std::string_view>{corpus}, {.vocab_size = 300});
  for (const std::string& text : {std::string(corpus), std::string("  lead and trail  "), std::string("\n\n😀你")}) {
    const std::vector<int32_t> ids = bpe.encode_ids(text);
    EXPECT_EQ(joined(pieces_of(bpe, ids)), bpe.decode(ids, true));
  }
}

TEST(StreamDecoder, SpecialTokensAreSilent) {
  const Tokenizer bytes = byte_tokenizer({});
  std::vector<int32_t> ids = bytes.encode_ids("hi");
  ids.push_back(*bytes.special().eos);
  EXPECT_EQ(joined(pieces_of(bytes, ids)), "hi");
}

}  // namespace
}  // namespace qkv
