#include "qkv/text/token_model.h"

#include "qkv/core/error.h"
#include "qkv/text/bpe.h"
#include "qkv/text/unigram.h"
#include "qkv/text/word_models.h"

namespace qkv {

bool no_token_crosses_marker(const Vocabulary& vocabulary) {
  for (int64_t id = 0; id < vocabulary.id_end(); ++id) {
    std::string_view token = vocabulary.token(id);
    while (token.starts_with(space_marker)) token.remove_prefix(space_marker.size());
    if (token.find(space_marker) != std::string_view::npos) return false;
  }
  return true;
}

std::string TokenModel::vocabulary_json() const {
  std::string out = "\"vocab\": {";
  bool first = true;
  for (int64_t id = 0; id < vocabulary_.id_end(); ++id) {
    if (!vocabulary_.has(id)) continue;
    out += fmt::format("{}{}: {}", first ? "\n" : ",\n", Json(vocabulary_.token(id)).dump(), id);
    first = false;
  }
  return out + "}";
}

std::string TokenModel::kind(const JsonCursor& json) {
  if (!json.json().is_object()) json.fail("expected an object");
  std::string type = json["type"].string_or("");
  if (!type.empty()) return type;
  return !json["merges"].is_null() ? "BPE" : json["vocab"].json().is_array() ? "Unigram" : "WordPiece";
}

std::unique_ptr<TokenModel> TokenModel::parse(const JsonCursor& json, bool pieces_are_bytes) {
  const std::string type = kind(json);
  if (type == "BPE") return Bpe::parse(json, pieces_are_bytes);
  if (type == "WordPiece") return std::make_unique<WordPiece>(json);
  if (type == "WordLevel") return std::make_unique<WordLevel>(json);
  if (type == "Unigram") return std::make_unique<Unigram>(json);
  json.fail(fmt::format("model '{}' is not supported", type), "supported: BPE, WordPiece, WordLevel, Unigram");
}

}  // namespace qkv
