#include "qkv/text/alignment.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/text/tokenizer.h"

#include <random>

namespace qkv {
namespace {

using Lists = std::vector<std::vector<int32_t>>;

TEST(Alignment, PiecesOfWordsAndBack) {
  // "don't stop" as (don)('t) (stop) against [CLS] (do)(n't)( st)(op) [SEP].
  const std::vector<CharSpan> words{{0, 3}, {3, 5}, {6, 10}};
  const std::vector<CharSpan> pieces{{0, 0}, {0, 2}, {2, 5}, {5, 8}, {8, 10}, {0, 0}};
  const Alignment got = align(words, pieces);
  EXPECT_EQ(got.pieces_of_word, (Lists{{1, 2}, {2}, {3, 4}}));
  EXPECT_EQ(got.words_of_piece, (Lists{{}, {0}, {0, 1}, {2}, {2}, {}}));
  EXPECT_EQ(got.first_piece(2), 3);
}

TEST(Alignment, NothingOnEitherSide) {
  EXPECT_EQ(align({}, {}).pieces_of_word.size(), 0u);
  const std::vector<CharSpan> one{{0, 4}};
  EXPECT_EQ(align(one, {}).first_piece(0), -1);
  EXPECT_EQ(align({}, one).words_of_piece, (Lists{{}}));
}

TEST(Alignment, EqualsThePlainLoop) {
  std::mt19937 random(7);
  const auto spans = [&] {
    std::vector<CharSpan> out(random() % 12);
    for (auto& [begin, end] : out)
      begin = static_cast<int32_t>(random() % 20), end = begin + static_cast<int32_t>(random() % 6);
    return out;
  };
  for (int round = 0; round < 500; ++round) {
    const std::vector<CharSpan> words = spans(), pieces = spans();
    Lists of_word(words.size()), of_piece(pieces.size());
    for (size_t w = 0; w < words.size(); ++w)
      for (size_t p = 0; p < pieces.size(); ++p)
        for (int32_t c = 0; c < 30; ++c)
          if (c >= words[w].first && c < words[w].second && c >= pieces[p].first && c < pieces[p].second) {
            of_word[w].push_back(static_cast<int32_t>(p));
            of_piece[p].push_back(static_cast<int32_t>(w));
            break;
          }
    const Alignment got = align(words, pieces);
    ASSERT_EQ(got.pieces_of_word, of_word);
    ASSERT_EQ(got.words_of_piece, of_piece);
  }
}

TEST(Alignment, WordsOfATokenizedText) {
  const Tokenizer bert = Tokenizer::load(fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers/bert_uncased");
  const std::string text = "Zürich, naïve statements: 世界";
  const std::vector<std::string> words{"Zürich", ",", "naïve", "statements", ":", "世界"};
  const std::vector<CharSpan> spans = find_words(text, words);
  EXPECT_EQ(spans[2], CharSpan(8, 13));
  const Encoding encoding = bert.encode(text);
  const Alignment got = align(spans, encoding.offsets);
  EXPECT_TRUE(got.words_of_piece.front().empty());
  EXPECT_EQ(got.first_piece(0), 1);
  for (size_t w = 0; w < words.size(); ++w) EXPECT_FALSE(got.pieces_of_word[w].empty()) << words[w];
}

TEST(Alignment, WordsMustBeThere) {
  const std::vector<std::string> swapped{"b", "a"};
  EXPECT_THROW(find_words("a b", swapped), Error);
  EXPECT_THROW(find_words("a \xFF", {}), Error);
}

}  // namespace
}  // namespace qkv
