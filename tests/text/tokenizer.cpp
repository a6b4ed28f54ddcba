#include "qkv/text/tokenizer.h"

#include "qkv/core/error.h"
#include "qkv/text/regex.h"
#include "qkv/text/scanner.h"
#include "qkv/text/train.h"
#include "qkv/text/unicode.h"
#include "qkv/text/unicode_normalization.h"
#include "tests/core/with_threads.h"
#include "tests/text/golden.h"

#include <random>

namespace qkv {
namespace {

// Text of the characters that the scanners tell apart.
std::string random_text(std::mt19937& random, size_t characters) {
  static const std::vector<char32_t> alphabet =
      code_points("aabbstmdreverllSTLLMDREé好ſ𝒜 0123²Ⅷ٣  \t\n\r\n\u00A0\u3000''''.,!?-()👍\u0301\u200D_");
  std::string text;
  for (size_t i = 0; i < characters; ++i) append_utf8(text, alphabet[random() % alphabet.size()]);
  return text;
}

TEST(Scanner, FindsWhatThePatternFinds) {
  const std::string_view llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string_view qwen2 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  std::mt19937 random(1);
  for (const std::string_view pattern : {gpt2_pattern, llama3, qwen2}) {
    const Scanner scanner(known_pattern(pattern));
    const Regex regex(pattern, "test");
    for (int round = 0; round < 2000; ++round) {
      const std::string text = random_text(random, 1 + random() % 30);
      std::vector<std::string> expected, got;
      regex.for_each_match(text, [&](Regex::Match m) { expected.push_back(text.substr(m.begin, m.end - m.begin)); });
      for (const char *p = text.data(), *end = p + text.size(); p < end;) {
        const char* const next = scanner.next(p, end);
        got.emplace_back(p, next);
        p = next;
      }
      ASSERT_EQ(got, expected) << Json(text).dump() << " with " << pattern;
    }
  }
}

TEST(Tokenizer, LongWordsMergeAsShortOnesDo) {
  // A run of letters far longer than the array of the short merge, cut where no merge crosses.
  const Tokenizer tokenizer = Tokenizer::load(golden / "gpt2");
  std::string text;
  for (int i = 0; i < 500; ++i) text += "thethandinger";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ids(text)), text);
  EXPECT_EQ(tokenizer.encode_ids(text), tokenizer.encode(text).ids);
}

TEST(Tokenizer, CacheDoesNotChangeTheResult) {
  const Tokenizer tokenizer = Tokenizer::load(golden / "gpt2");
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const std::string text = random_text(random, 400);
    ASSERT_EQ(tokenizer.encode_ids(text), tokenizer.encode(text).ids);
    ASSERT_EQ(tokenizer.decode(tokenizer.encode_ids(text)), text);
  }
}

TEST(Tokenizer, BertShortcutEqualsTheSteps) {
  for (const char* name : {"bert_cased", "bert_uncased"}) {
    const Tokenizer tokenizer = Tokenizer::load(golden / name);
    std::mt19937 random(3);
    for (int round = 0; round < 500; ++round) {
      std::string text = random_text(random, 100);
      for (int i = 0; i < 5; ++i) text[random() % text.size()] &= 0x7F;  // controls and odd ASCII
      if (invalid_utf8(text) != std::string::npos) continue;
      ASSERT_EQ(tokenizer.encode_ids(text), tokenizer.encode(text).ids) << Json(text).dump();
    }
  }
}

TEST(Tokenizer, BatchEqualsSingles) {
  const Tokenizer tokenizer = Tokenizer::load(golden / "roberta");
  std::mt19937 random(4);
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(random_text(random, 80));
  const auto batch = tokenizer.encode_batch(texts);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(batch[i], tokenizer.encode_ids(texts[i]));
}

TEST(Tokenizer, SpecialTokens) {
  const Tokenizer bert = Tokenizer::load(golden / "bert_uncased");
  EXPECT_EQ(bert.special().cls, bert.id("[CLS]"));
  EXPECT_EQ(bert.special().sep, bert.id("[SEP]"));
  EXPECT_EQ(bert.special().mask, bert.id("[MASK]"));
  EXPECT_EQ(bert.special().pad, 0);
  EXPECT_EQ(bert.special().bos, std::nullopt);
  EXPECT_TRUE(bert.is_special(0));
  EXPECT_FALSE(bert.is_special(100));
  EXPECT_EQ(bert.max_length(), 512);
  EXPECT_EQ(bert.kind(), "WordPiece");
  const Tokenizer roberta = Tokenizer::load(golden / "roberta");
  EXPECT_EQ(roberta.vocab_size(), 801);  // <mask> stands behind the model's vocabulary
  EXPECT_EQ(roberta.special().mask, 800);
  EXPECT_EQ(roberta.encode_ids("a", {.add_special_tokens = false}).size(), 1u);
}

TEST(StreamDecoder, HoldsIncompleteCharacters) {
  const Tokenizer bytes = byte_tokenizer({});
  StreamDecoder stream(bytes);
  const std::string text = "é👍";
  std::string out;
  for (const char c : text) {
    const std::string piece = stream.push(static_cast<uint8_t>(c));
    EXPECT_EQ(invalid_utf8(piece), std::string::npos);
    EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos);
    out += piece;
  }
  EXPECT_EQ(out, text);
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

// Tokens of bytes stand for U+FFFD each where they are no characters together, also those whose text was given out.
TEST(StreamDecoder, BytesThatBreakWhatWasGivenOut) {
  StreamDecoder stream(Tokenizer::load(golden / "llama"));
  constexpr int32_t byte_a = 68, byte_ee = 241, piece_st = 424;
  EXPECT_EQ(stream.push(byte_a), "A");
  EXPECT_EQ(stream.push(byte_ee), "");
  EXPECT_EQ(stream.push(piece_st), "\xEF\xBF\xBD st");
  EXPECT_EQ(stream.push(byte_a), "A");
  EXPECT_EQ(stream.push(byte_ee), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(StreamDecoder, BrokenBytesDoNotPileUp) {
  StreamDecoder stream(byte_tokenizer({}));
  std::string out;
  for (int i = 0; i < 1000; ++i) out += stream.push(0xFF);
  EXPECT_GT(out.size(), 900u);
  out += stream.finish();
  EXPECT_EQ(count_code_points(out), 1000);
}

TEST(Unicode, LossyTextReplacesMaximalParts) {
  EXPECT_EQ(lossy_utf8("a\xF0\x9F\x91z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(lossy_utf8("\xE2\x28\xA1"), "\xEF\xBF\xBD(\xEF\xBF\xBD");
  EXPECT_EQ(count_code_points(lossy_utf8("\xED\xA0\x80")), 3);
}

TEST(Unicode, NormalizationForms) {
  const auto normalized = [](std::string text, NormalizationForm form) {
    AlignedText aligned{std::move(text), {}, false};
    normalize_unicode(aligned, form);
    return aligned.text;
  };
  EXPECT_EQ(normalized("\u00E9\uAC01", NormalizationForm::nfd), "e\u0301\u1100\u1161\u11A8");
  EXPECT_EQ(normalized("e\u0301\u1100\u1161\u11A8", NormalizationForm::nfc), "\u00E9\uAC01");
  EXPECT_EQ(normalized("a\u0301\u0323", NormalizationForm::nfd), "a\u0323\u0301");
  EXPECT_EQ(normalized("\uFB01\u00B2", NormalizationForm::nfkc), "fi2");
  EXPECT_EQ(normalized("\uFB01\u00B2", NormalizationForm::nfc), "\uFB01\u00B2");
}

// The merges of a text that can be checked by hand, with the library's rule for ties: the smaller ids first.
TEST(Training, BpeByHand) {
  const std::string_view text = "ab ab ab cd cd cd ab";
  TrainOptions options;
  options.vocab_size = 257 + 4;
  options.min_frequency = 2;
  const Tokenizer tokenizer = train_bpe(std::span(&text, 1), options);
  // a b (4), then c d, Ġ ab (3 each; the ids of c and d are smaller than that of Ġ), then Ġ cd.
  EXPECT_EQ(tokenizer.token(257), "ab");
  EXPECT_EQ(tokenizer.token(258), "cd");
  EXPECT_EQ(tokenizer.token(259), "Ġab");
  EXPECT_EQ(tokenizer.token(260), "Ġcd");
  EXPECT_EQ(tokenizer.special().eos, 0);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ids(text)), text);
}

TEST(Training, ThreadsDoNotChangeTheMerges) {
  std::mt19937 random(5);
  std::string text;
  for (int i = 0; i < 40000; ++i) text += random_text(random, 1 + random() % 20) + "\n";
  const std::string_view view = text;
  TrainOptions options;
  options.vocab_size = 1000;
  std::vector<std::string> first, second;
  for (const int count : {1, 2}) {
    const WithThreads so_many(count);
    const Tokenizer tokenizer = train_bpe(std::span(&view, 1), options);
    for (int id = 0; id < tokenizer.vocab_size(); ++id) (count == 1 ? first : second).push_back(tokenizer.token(id));
  }
  EXPECT_EQ(first, second);
}

TEST(Training, CharactersAndBytes) {
  const std::string_view text = "to be\nör not";
  const Tokenizer characters = train_characters(std::span(&text, 1), {});
  EXPECT_EQ(characters.decode(characters.encode_ids(text)), text);
  EXPECT_EQ(characters.encode_ids(text).size(), 12u);
  EXPECT_EQ(characters.encode_ids("x"), std::vector<int32_t>{*characters.special().unk});
  const Tokenizer bytes = byte_tokenizer({});
  EXPECT_EQ(bytes.vocab_size(), 257);
  EXPECT_EQ(bytes.encode_ids("a\n"), (std::vector<int32_t>{'a', '\n'}));
  EXPECT_EQ(bytes.encode_ids("a<|endoftext|>"), (std::vector<int32_t>{'a', 256}));
}

TEST(Training, WordPieceByHand) {
  const std::string_view text = "Hug hug PUG pun bun hugs";
  TrainOptions options;
  options.special_tokens = {"[PAD]", "[CLS]", "[SEP]"};
  options.vocab_size = 4 + 7 + 4 + 2;  // special tokens, letters, continuations, merges
  const Tokenizer tokenizer = train_wordpiece(std::span(&text, 1), options);
  // ##u ##g comes four times, ##u ##n twice; then h ##ug, three times, would have come before, were there room.
  EXPECT_TRUE(tokenizer.id("##ug"));
  EXPECT_TRUE(tokenizer.id("hug"));
  EXPECT_EQ(tokenizer.special().cls, 1);
  EXPECT_EQ(tokenizer.encode("hug").tokens, (std::vector<std::string>{"[CLS]", "hug", "[SEP]"}));
  EXPECT_EQ(tokenizer.encode_ids("?", {.add_special_tokens = false}), std::vector<int32_t>{*tokenizer.special().unk});
}

TEST(Training, UnigramFindsWords) {
  std::string text;
  std::mt19937 random(8);
  const char* const words[] = {"tokenizer", "language", "model", "pieces", "segmentation"};
  for (int i = 0; i < 2000; ++i) text += std::string(words[random() % 5]) + (random() % 2 ? "s " : " ");
  const std::string_view view = text;
  TrainOptions options;
  options.vocab_size = 40;
  const Tokenizer tokenizer = train_unigram(std::span(&view, 1), options);
  EXPECT_LE(tokenizer.vocab_size(), 40);
  EXPECT_EQ(tokenizer.kind(), "Unigram");
  for (const char* word : words) EXPECT_EQ(tokenizer.encode_ids(word).size(), 1u) << word;
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ids("language models")), "language models");
  EXPECT_EQ(tokenizer.encode("żodel").tokens[1], "ż");
}

TEST(Training, BadOptions) {
  const std::string_view text = "text", broken = "\xFF";
  TrainOptions options;
  options.vocab_size = 100;
  EXPECT_THROW(train_bpe(std::span(&text, 1), options), Error);
  options.vocab_size = 300;
  EXPECT_THROW(train_bpe(std::span(&broken, 1), options), Error);
  options.special_tokens = {"<s>", "<s>"};
  EXPECT_THROW(train_bpe(std::span(&text, 1), options), Error);
  EXPECT_THROW(train_characters({}, {}), Error);
  EXPECT_THROW(train_wordpiece({}, {}), Error);
  EXPECT_THROW(train_unigram({}, {}), Error);
  EXPECT_THROW(train_unigram(std::span(&broken, 1), {}), Error);
  options = {};
  options.vocab_size = 3;
  EXPECT_THROW(train_wordpiece(std::span(&text, 1), options), Error);
  EXPECT_THROW(train_unigram(std::span(&text, 1), options), Error);
}

TEST(TokenizerTraining, SpecialTokensNamedAsBertsHaveItsRoles) {
  const TrainOptions options{.vocab_size = 280,
                             .special_tokens = {"<|endoftext|>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}};
  const std::vector<std::string_view> texts = {"words and words"};
  for (const Tokenizer& tokenizer :
       {train_bpe(texts, options), train_characters(texts, options), byte_tokenizer(options)}) {
    const SpecialTokens& special = tokenizer.special();
    EXPECT_EQ(special.pad, tokenizer.id("[PAD]"));
    EXPECT_EQ(special.mask, tokenizer.id("[MASK]"));
    EXPECT_EQ(special.eos, tokenizer.id("<|endoftext|>"));
    const std::vector<int32_t> ids = tokenizer.encode_ids("words");
    EXPECT_EQ(ids.front(), special.cls);
    EXPECT_EQ(ids.back(), special.sep);
  }
}

TEST(Tokenizer, FramesIdsAsEncodingDoes) {
  for (const char* name : {"bert_uncased", "roberta", "albert", "gpt2", "t5", "llama3"}) {
    const Tokenizer tokenizer = Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers" / name);
    const EncodeOptions bare{.add_special_tokens = false};
    const std::vector<int32_t> a = tokenizer.encode_ids("Hello world", bare),
                               b = tokenizer.encode_ids("and more", bare);
    const FramedIds single = tokenizer.frame(a), pair = tokenizer.frame(a, b);
    EXPECT_EQ(single.ids, tokenizer.encode("Hello world").ids) << name;
    const Encoding both = tokenizer.encode_pair("Hello world", "and more");
    EXPECT_EQ(pair.ids, both.ids) << name;
    EXPECT_EQ(pair.type_ids, both.type_ids) << name;
    EXPECT_TRUE(std::equal(a.begin(), a.end(), pair.ids.begin() + pair.first_at)) << name;
    EXPECT_TRUE(std::equal(b.begin(), b.end(), pair.ids.begin() + pair.second_at)) << name;
    EXPECT_EQ(tokenizer.special_count(true), std::ssize(pair.ids) - std::ssize(a) - std::ssize(b)) << name;
  }
}

TEST(Tokenizer, SaysWhichWordATokenIsPartOf) {
  const Tokenizer tokenizer = Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers/bert_uncased");
  const Encoding encoding = tokenizer.encode_pair("unbelievable!", "yes");
  ASSERT_EQ(encoding.words.size(), encoding.ids.size());
  for (size_t i = 1; i + 1 < encoding.ids.size(); ++i) {
    const bool special = encoding.tokens[i] == "[SEP]", continued = encoding.tokens[i].starts_with("##");
    EXPECT_EQ(encoding.words[i], special                       ? -1
                                 : encoding.words[i - 1] == -1 ? 0
                                                               : encoding.words[i - 1] + (continued ? 0 : 1));
  }
}

}  // namespace
}  // namespace qkv
