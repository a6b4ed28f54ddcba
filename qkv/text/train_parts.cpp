#include "qkv/text/train_parts.h"

#include "qkv/text/normalizer.h"
#include "qkv/text/pre_tokenizer.h"
#include "qkv/text/unicode.h"
#include "qkv/text/word_counts.h"

#include <algorithm>

namespace qkv {

void check_training_texts(std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) require_utf8(text, "training text");
}

void report(const TrainOptions& options, std::string_view stage, int64_t done, int64_t total) {
  if (options.progress) options.progress(stage, done, total);
}

Json vocabulary_json(const Vocabulary& vocabulary) {
  Json out = Json::object();
  for (int64_t id = 0; id < vocabulary.id_end(); ++id) out[std::string(vocabulary.token(id))] = id;
  return out;
}

Tokenizer assemble(const Json& model, const Json& parts, const TrainOptions& options, const std::string& unknown) {
  std::vector<std::string> names = options.special_tokens;
  if (!unknown.empty() && std::find(names.begin(), names.end(), unknown) == names.end()) names.push_back(unknown);
  // A unigram vocabulary is a list of pieces in order of id; the others map a token to its id.
  const auto id_of = [&](const std::string& name) -> Json {
    const Json& vocab = model["vocab"];
    if (vocab.is_object()) return vocab[name];
    const auto at = std::find_if(vocab.begin(), vocab.end(), [&](const Json& entry) { return entry[0] == name; });
    return at - vocab.begin();
  };
  Json tokenizer = {{"version", "1.0"},         {"added_tokens", Json::array()}, {"normalizer", nullptr},
                    {"pre_tokenizer", nullptr}, {"post_processor", nullptr},     {"decoder", nullptr}};
  tokenizer.update(parts);
  tokenizer["model"] = model;
  for (const std::string& name : names)
    tokenizer["added_tokens"].push_back(
        {{"id", id_of(name)}, {"content", name}, {"special", true}, {"normalized", false}});
  Json config = Json::object();
  if (!unknown.empty()) config["unk_token"] = unknown;
  const std::pair<const char*, const char*> roles[] = {
      {"[PAD]", "pad_token"},   {"[UNK]", "unk_token"}, {"[CLS]", "cls_token"}, {"[SEP]", "sep_token"},
      {"[MASK]", "mask_token"}, {"<pad>", "pad_token"}, {"</s>", "eos_token"},  {"<unk>", "unk_token"}};
  const auto is_special = [&](const std::string& token) {
    return std::find(names.begin(), names.end(), token) != names.end();
  };
  const bool first_ends_text = !options.special_tokens.empty() &&
                               std::none_of(std::begin(roles), std::end(roles),
                                            [&](const auto& role) { return options.special_tokens[0] == role.first; });
  if (first_ends_text) config["bos_token"] = config["eos_token"] = config["pad_token"] = options.special_tokens[0];
  for (const auto& [token, role] : roles)
    if (is_special(token)) config[role] = token;
  if (is_special("[CLS]") && is_special("[SEP]"))
    tokenizer["post_processor"] = {
        {"type", "BertProcessing"}, {"cls", {"[CLS]", id_of("[CLS]")}}, {"sep", {"[SEP]", id_of("[SEP]")}}};
  if (is_special("</s>"))
    tokenizer["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single",
         {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}}},
        {"pair",
         {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
          {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}},
          {{"Sequence", {{"id", "B"}, {"type_id", 0}}}},
          {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}}},
        {"special_tokens", {{"</s>", {{"id", "</s>"}, {"ids", {id_of("</s>")}}, {"tokens", {"</s>"}}}}}}};
  return Tokenizer::from_json(tokenizer, config, where_training);
}

std::map<std::string, int64_t> count_pieces(std::span<const std::string_view> texts, const Json& parts) {
  const CharClasses classes;
  WordCounts words;
  for (const std::string_view text : texts) {
    const char* const end = text.data() + text.size();
    const char* word = text.data();
    for (const char* p = word; p <= end;) {
      const char* next = p;
      const bool boundary = p == end || classes(next_code_point(next)) & white_space;
      if (boundary && p > word) words.add({word, static_cast<size_t>(p - word)}, 1);
      if (p == end) break;
      p = next;
      if (boundary) word = p;
    }
  }
  const JsonCursor cursor(parts, where_training);
  const auto normalizer = Normalizer::parse(cursor["normalizer"]);
  const auto pre_tokenizer = PreTokenizer::parse(cursor["pre_tokenizer"], nullptr);
  std::map<std::string, int64_t> counts;
  words.for_each([&](const WordCounts::Entry& entry) {
    Pieces pieces{{std::string(entry.word), {}, false}, {}};
    if (normalizer) normalizer->normalize(pieces.text);
    if (pieces.text.text.empty()) return;
    pieces.pieces.push_back({0, static_cast<uint32_t>(pieces.text.text.size())});
    if (pre_tokenizer) pre_tokenizer->split(pieces);
    for (const Piece& piece : pieces.pieces)
      counts[pieces.text.text.substr(piece.begin, piece.end - piece.begin)] += entry.count;
  });
  return counts;
}

}  // namespace qkv
