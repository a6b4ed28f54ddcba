#include "qkv/text/train.h"

#include "qkv/core/error.h"
#include "qkv/text/bpe_trainer.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/unicode.h"
#include "qkv/text/word_counts.h"

#include <set>

namespace qkv {
namespace {

constexpr const char* where = "tokenizer train";

void check_texts(std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) require_utf8(text, "training text");
}

void report(const TrainOptions& options, std::string_view stage, int64_t done, int64_t total) {
  if (options.progress) options.progress(stage, done, total);
}

Json to_json(const Vocabulary& vocabulary) {
  Json out = Json::object();
  for (int64_t id = 0; id < vocabulary.id_end(); ++id) out[std::string(vocabulary.token(id))] = id;
  return out;
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

// The tokenizer.json of a model and pre-tokenizer, with the special tokens; the first one ends a text.
Tokenizer assemble(const Json& model, const Json& pre_tokenizer, const Json& decoder, const TrainOptions& options,
                   const std::string& unknown = "") {
  Json added = Json::array();
  std::vector<std::string> names = options.special_tokens;
  if (!unknown.empty()) names.push_back(unknown);
  for (const std::string& name : names)
    added.push_back({{"id", model["vocab"][name]}, {"content", name}, {"special", true}, {"normalized", false}});
  Json tokenizer = {
      {"version", "1.0"},          {"added_tokens", added}, {"normalizer", nullptr}, {"pre_tokenizer", pre_tokenizer},
      {"post_processor", nullptr}, {"decoder", decoder},    {"model", model}};
  Json config = Json::object();
  if (!options.special_tokens.empty())
    config["bos_token"] = config["eos_token"] = config["pad_token"] = options.special_tokens[0];
  if (!unknown.empty()) config["unk_token"] = unknown;
  const std::pair<const char*, const char*> roles[] = {{"[PAD]", "pad_token"},
                                                       {"[UNK]", "unk_token"},
                                                       {"[CLS]", "cls_token"},
                                                       {"[SEP]", "sep_token"},
                                                       {"[MASK]", "mask_token"}};
  const auto is_special = [&](const char* token) {
    return std::find(names.begin(), names.end(), token) != names.end();
  };
  for (const auto& [token, role] : roles)
    if (is_special(token)) config[role] = token;
  if (is_special("[CLS]") && is_special("[SEP]"))
    tokenizer["post_processor"] = {{"type", "BertProcessing"},
                                   {"cls", {"[CLS]", model["vocab"]["[CLS]"]}},
                                   {"sep", {"[SEP]", model["vocab"]["[SEP]"]}}};
  return Tokenizer::from_json(tokenizer, config, where);
}

}  // namespace

Tokenizer train_bpe(std::span<const std::string_view> texts, const TrainOptions& options) {
  const auto least = static_cast<int64_t>(options.special_tokens.size()) + 256;
  if (options.vocab_size < least || options.vocab_size > Vocabulary::largest_id)
    throw Error(
        where,
        fmt::format("a byte-level vocabulary has from {} (256 bytes and the special tokens) to {} tokens, not {}",
                    least, Vocabulary::largest_id, options.vocab_size));
  check_texts(texts);
  Vocabulary vocabulary;
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where);
  std::set<char32_t> alphabet;
  for (int byte = 0; byte < 256; ++byte) alphabet.insert(byte_to_char(static_cast<uint8_t>(byte)));
  for (const char32_t c : alphabet)
    if (vocabulary.find(utf8(c)) == Vocabulary::none) vocabulary.add(utf8(c), vocabulary.size(), where);

  report(options, "counting words", 0, 1);
  const WordCounts words = count_words(texts);
  report(options, "counting words", 1, 1);
  const auto progress = [&](int64_t tokens) { report(options, "merging", tokens, options.vocab_size); };
  const BpeMerges found =
      find_merges(words, std::move(vocabulary), options.vocab_size, options.min_frequency, progress);

  Json merges = Json::array();
  for (const auto& [left, right] : found.merges)
    merges.push_back({std::string(found.vocabulary.token(left)), std::string(found.vocabulary.token(right))});
  const Json model = {{"type", "BPE"}, {"vocab", to_json(found.vocabulary)}, {"merges", std::move(merges)}};
  return assemble(model, byte_level(true), byte_level(true), options);
}

Tokenizer train_characters(std::span<const std::string_view> texts, const TrainOptions& options) {
  check_texts(texts);
  std::vector<bool> seen(code_point_end);
  for (const std::string_view text : texts)
    for (const char *p = text.data(), *end = p + text.size(); p < end;) seen[next_code_point(p)] = true;
  if (std::find(seen.begin(), seen.end(), true) == seen.end()) throw Error(where, "the text is empty");
  Vocabulary vocabulary;
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where);
  const std::string unknown = "<unk>";
  if (vocabulary.find(unknown) == Vocabulary::none) vocabulary.add(unknown, vocabulary.size(), where);
  for (char32_t c = 0; c < code_point_end; ++c)
    if (seen[c] && vocabulary.find(utf8(c)) == Vocabulary::none) vocabulary.add(utf8(c), vocabulary.size(), where);
  const Json model = {{"type", "WordLevel"}, {"vocab", to_json(vocabulary)}, {"unk_token", unknown}};
  const Json every_character = {
      {"type", "Split"}, {"pattern", {{"Regex", "[\\s\\S]"}}}, {"behavior", "Isolated"}, {"invert", false}};
  const bool given =
      std::find(options.special_tokens.begin(), options.special_tokens.end(), unknown) != options.special_tokens.end();
  return assemble(model, every_character, {{"type", "Fuse"}}, options, given ? "" : unknown);
}

Tokenizer byte_tokenizer(const TrainOptions& options) {
  Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary.add(utf8(byte_to_char(static_cast<uint8_t>(byte))), byte, where);
  for (const std::string& token : options.special_tokens) vocabulary.add(token, vocabulary.size(), where);
  const Json model = {{"type", "BPE"}, {"vocab", to_json(vocabulary)}, {"merges", Json::array()}};
  return assemble(model, byte_level(false), byte_level(false), options);
}

}  // namespace qkv
