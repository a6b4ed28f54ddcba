#include "qkv/text/train.h"

#include "qkv/core/error.h"
#include "qkv/text/bpe_trainer.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/train_parts.h"
#include "qkv/text/unicode.h"
#include "qkv/text/word_counts.h"

#include <array>
#include <set>

namespace qkv {
namespace {

MergeOptions merge_options(const TrainOptions& options) {
  const auto progress = [&](int64_t tokens) { report(options, "merging", tokens, options.vocab_size); };
  return {options.vocab_size, options.min_frequency, "", progress};
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

}  // namespace

Tokenizer train_bpe(std::span<const std::string_view> texts, const TrainOptions& options) {
  const auto least = static_cast<int64_t>(options.special_tokens.size()) + 256;
  if (options.vocab_size < least || options.vocab_size > Vocabulary::largest_id)
    throw Error(
        where_training,
        fmt::format("a byte-level vocabulary has from {} (256 bytes and the special tokens) to {} tokens, not {}",
                    least, Vocabulary::largest_id, options.vocab_size));
  check_training_texts(texts);
  Vocabulary vocabulary;
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where_training);
  std::set<char32_t> alphabet;
  for (int byte = 0; byte < 256; ++byte) alphabet.insert(byte_to_char(static_cast<uint8_t>(byte)));
  for (const char32_t c : alphabet)
    if (vocabulary.find(utf8(c)) == Vocabulary::none) vocabulary.add(utf8(c), vocabulary.size(), where_training);

  report(options, "counting words", 0, 1);
  const WordCounts words = count_words(texts);
  report(options, "counting words", 1, 1);
  TokenWords tokens;
  std::array<int32_t, 256> ids{};
  for (int byte = 0; byte < 256; ++byte) ids[byte] = vocabulary.find(utf8(byte_to_char(static_cast<uint8_t>(byte))));
  std::vector<int32_t> word;
  words.for_each([&](const WordCounts::Entry& entry) {
    word.clear();
    for (const char byte : entry.word) word.push_back(ids[static_cast<uint8_t>(byte)]);
    tokens.add(word, entry.count);
  });
  const BpeMerges found = find_merges(std::move(tokens), std::move(vocabulary), merge_options(options));

  Json merges = Json::array();
  for (const auto& [left, right] : found.merges)
    merges.push_back({std::string(found.vocabulary.token(left)), std::string(found.vocabulary.token(right))});
  const Json model = {{"type", "BPE"}, {"vocab", vocabulary_json(found.vocabulary)}, {"merges", std::move(merges)}};
  return assemble(model, {{"pre_tokenizer", byte_level(true)}, {"decoder", byte_level(true)}}, options);
}

Tokenizer train_characters(std::span<const std::string_view> texts, const TrainOptions& options) {
  check_training_texts(texts);
  std::vector<bool> seen(code_point_end);
  for (const std::string_view text : texts)
    for (const char *p = text.data(), *end = p + text.size(); p < end;) seen[next_code_point(p)] = true;
  if (std::find(seen.begin(), seen.end(), true) == seen.end()) throw Error(where_training, "the text is empty");
  Vocabulary vocabulary;
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where_training);
  const std::string unknown = "<unk>";
  if (vocabulary.find(unknown) == Vocabulary::none) vocabulary.add(unknown, vocabulary.size(), where_training);
  for (char32_t c = 0; c < code_point_end; ++c)
    if (seen[c] && vocabulary.find(utf8(c)) == Vocabulary::none)
      vocabulary.add(utf8(c), vocabulary.size(), where_training);
  const Json model = {{"type", "WordLevel"}, {"vocab", vocabulary_json(vocabulary)}, {"unk_token", unknown}};
  const Json every_character = {
      {"type", "Split"}, {"pattern", {{"Regex", "[\\s\\S]"}}}, {"behavior", "Isolated"}, {"invert", false}};
  return assemble(model, {{"pre_tokenizer", every_character}, {"decoder", {{"type", "Fuse"}}}}, options, unknown);
}

Tokenizer byte_tokenizer(const TrainOptions& options) {
  Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte)
    vocabulary.add(utf8(byte_to_char(static_cast<uint8_t>(byte))), byte, where_training);
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where_training);
  const Json model = {{"type", "BPE"}, {"vocab", vocabulary_json(vocabulary)}, {"merges", Json::array()}};
  return assemble(model, {{"pre_tokenizer", byte_level(false)}, {"decoder", byte_level(false)}}, options);
}

}  // namespace qkv
