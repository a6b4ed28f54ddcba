#include "qkv/text/word_models.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

namespace qkv {

WordPiece::WordPiece(const JsonCursor& json)
    : TokenModel(Vocabulary::parse(json["vocab"])),
      prefix_(json["continuing_subword_prefix"].string_or("##")),
      longest_word_(json["max_input_chars_per_word"].integer_or(100)) {
  const std::string name = json["unk_token"].string_or("[UNK]");
  unknown_ = vocabulary_.find(name);
  if (unknown_ == Vocabulary::none)
    json.fail(fmt::format("the vocabulary has no unknown token '{}'", name), "add it, or name another unk_token");
}

void WordPiece::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  const size_t first = out.size();
  const bool too_long = static_cast<int64_t>(piece.size()) > longest_word_ && count_code_points(piece) > longest_word_;
  std::string candidate;
  size_t begin = 0;
  while (begin < piece.size() && !too_long) {
    candidate = begin > 0 ? prefix_ : "";
    const size_t before = candidate.size();
    // No token is longer than the longest one.
    size_t end = std::min(piece.size(), begin + vocabulary_.longest_token());
    while (end > begin && end < piece.size() && utf8_continues(piece[end])) --end;
    candidate.append(piece, begin, end - begin);
    int32_t id = Vocabulary::none;
    while (candidate.size() > before && (id = vocabulary_.find(candidate)) == Vocabulary::none) {
      do candidate.pop_back();
      while (utf8_continues(piece[begin + candidate.size() - before]));
    }
    if (id == Vocabulary::none) break;
    const size_t length = candidate.size() - before;
    out.push_back({id, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + length)});
    begin += length;
  }
  if (begin == piece.size()) return;
  out.resize(first);
  out.push_back({unknown_, 0, static_cast<uint32_t>(piece.size())});
}

std::string WordPiece::to_json() const {
  return fmt::format(
      R"({{"type": "WordPiece", "unk_token": {}, "continuing_subword_prefix": {}, "max_input_chars_per_word": {},)"
      "\n{}}}",
      Json(vocabulary_.token(unknown_)).dump(), Json(prefix_).dump(), longest_word_, vocabulary_json());
}

WordLevel::WordLevel(const JsonCursor& json)
    : TokenModel(Vocabulary::parse(json["vocab"])), unknown_name_(json["unk_token"].string_or("<unk>")) {
  unknown_ = vocabulary_.find(unknown_name_);
}

void WordLevel::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  int32_t id = vocabulary_.find(piece);
  if (id == Vocabulary::none) id = unknown_;
  if (id == Vocabulary::none)
    throw Error("tokenizer", fmt::format("'{}' is not in the vocabulary, which has no unknown token", piece),
                "train the tokenizer on text that has it, or with an unknown token");
  out.push_back({id, 0, static_cast<uint32_t>(piece.size())});
}

std::string WordLevel::to_json() const {
  return fmt::format("{{\"type\": \"WordLevel\",\n{},\n\"unk_token\": {}}}", vocabulary_json(),
                     Json(unknown_name_).dump());
}

}  // namespace qkv
