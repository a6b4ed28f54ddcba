#include "qkv/core/error.h"
#include "qkv/text/bpe_trainer.h"
#include "qkv/text/train.h"
#include "qkv/text/train_parts.h"
#include "qkv/text/unicode.h"

#include <algorithm>
#include <set>

namespace qkv {
namespace {

constexpr std::string_view prefix = "##";

}  // namespace

Tokenizer train_wordpiece(std::span<const std::string_view> texts, const TrainOptions& options) {
  check_training_texts(texts);
  const std::string unknown = "[UNK]";
  const Json parts = {{"normalizer",
                       {{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", nullptr},
                        {"lowercase", options.lowercase}}},
                      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                      {"decoder", {{"type", "WordPiece"}, {"prefix", prefix}, {"cleanup", true}}}};
  report(options, "counting words", 0, 1);
  const std::map<std::string, int64_t> words = count_pieces(texts, parts);
  report(options, "counting words", 1, 1);
  if (words.empty()) throw Error(where_training, "the text is empty");

  Vocabulary vocabulary;
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where_training);
  if (vocabulary.find(unknown) == Vocabulary::none) vocabulary.add(unknown, vocabulary.size(), where_training);
  std::set<char32_t> alphabet;
  for (const auto& [word, count] : words)
    for (const char32_t c : code_points(word)) alphabet.insert(c);
  const auto id_of = [&](const std::string& token) {
    if (vocabulary.find(token) == Vocabulary::none) vocabulary.add(token, vocabulary.size(), where_training);
    return vocabulary.find(token);
  };
  for (const char32_t c : alphabet) id_of(utf8(c));
  TokenWords tokens;
  std::vector<int32_t> spelled;
  for (const auto& [word, count] : words) {
    spelled.clear();
    for (const char32_t c : code_points(word))
      spelled.push_back(id_of((spelled.empty() ? "" : std::string(prefix)) + utf8(c)));
    tokens.add(spelled, count);
  }
  if (options.vocab_size < vocabulary.size() || options.vocab_size > Vocabulary::largest_id)
    throw Error(where_training,
                fmt::format("the characters of the text and the special tokens are {} tokens: vocab_size is from "
                            "that to {}, not {}",
                            vocabulary.size(), Vocabulary::largest_id, options.vocab_size));
  const auto progress = [&](int64_t done) { report(options, "merging", done, options.vocab_size); };
  const BpeMerges found = find_merges(std::move(tokens), std::move(vocabulary),
                                      {options.vocab_size, options.min_frequency, std::string(prefix), progress});
  const Json model = {{"type", "WordPiece"},
                      {"unk_token", unknown},
                      {"continuing_subword_prefix", prefix},
                      {"max_input_chars_per_word", 100},
                      {"vocab", vocabulary_json(found.vocabulary)}};
  return assemble(model, parts, options, unknown);
}

}  // namespace qkv
