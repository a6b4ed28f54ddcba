#include "qkv/text/unigram.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/viterbi.h"

#include <charconv>
#include <cmath>
#include <string>

namespace qkv {
namespace {

// The score that the reference library reads where a file says `score`: the digits as an integer, divided by a power of
// ten, which rounds twice. Some segmentations are equally good up to this rounding.
double as_read(double score) {
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, std::abs(score), std::chars_format::scientific).ptr;
  uint64_t significand = 0;
  int exponent = 0;
  bool fraction = false;
  for (const char* p = digits; p < end; ++p) {
    if (*p == 'e') {
      int power = 0;
      std::from_chars(p[1] == '+' ? p + 2 : p + 1, end, power);
      exponent += power;
      break;
    }
    if (*p == '.') {
      fraction = true;
      continue;
    }
    significand = significand * 10 + static_cast<uint64_t>(*p - '0');
    exponent -= fraction;
  }
  if (exponent > 22 || exponent < -300) return score;
  const auto whole = static_cast<double>(significand);
  const double value = exponent < 0 ? whole / std::stod("1e" + std::to_string(-exponent)) : score;
  return score < 0 && exponent < 0 ? -value : value;
}

// [["piece", score], ...]; ids are positions.
Vocabulary read_pieces(const JsonCursor& json, std::vector<double>& scores) {
  Vocabulary vocabulary;
  const size_t count = json.array_size();
  if (count == 0) json.fail("is empty", "a tokenizer needs at least one token");
  for (size_t i = 0; i < count; ++i) {
    const JsonCursor entry = json.at(i);
    if (entry.array_size() != 2) entry.fail("expected a piece and its score");
    const Json& score = entry.json()[1];
    if (!score.is_number()) entry.at(1).fail("expected a number");
    scores.push_back(score.get<double>());
    if (!std::isfinite(scores.back())) entry.at(1).fail("is not finite");
    vocabulary.add(entry.at(0).string(), static_cast<int64_t>(i), json.where());
  }
  return vocabulary;
}

}  // namespace

Unigram::Unigram(const JsonCursor& json) : TokenModel({}), byte_fallback_(json["byte_fallback"].boolean_or(false)) {
  vocabulary_ = read_pieces(json["vocab"], written_scores_);
  for (const double score : written_scores_) scores_.push_back(as_read(score));
  unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - unknown_penalty;
  if (const JsonCursor unknown = json["unk_id"]; !unknown.is_null()) {
    if (!vocabulary_.has(unknown.integer()))
      unknown.fail(fmt::format("{} is not an id of the {} pieces", unknown.integer(), vocabulary_.size()));
    unknown_ = static_cast<int32_t>(unknown.integer());
  }
  for (int byte = 0; byte < 256; ++byte) byte_ids_[byte] = vocabulary_.find(byte_token(static_cast<uint8_t>(byte)));
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (int32_t id = 0; id < vocabulary_.id_end(); ++id) keys.emplace_back(vocabulary_.token(id), id);
  trie_ = Trie(std::move(keys));
}

void Unigram::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  const size_t first = out.size();
  best_segmentation<double>(
      piece, trie_, [&](int32_t id, uint32_t) { return scores_[id]; }, unknown_, unknown_score_, out);
  const auto is_unknown = [&](const ModelToken& token) { return token.id == unknown_ || token.id == Vocabulary::none; };
  if (std::none_of(out.begin() + static_cast<ptrdiff_t>(first), out.end(), is_unknown)) return;

  const std::vector<ModelToken> found(out.begin() + static_cast<ptrdiff_t>(first), out.end());
  out.resize(first);
  for (size_t i = 0; i < found.size(); ++i) {
    ModelToken token = found[i];
    if (!is_unknown(token)) {
      out.push_back(token);
      continue;
    }
    if (unknown_ == Vocabulary::none)
      throw Error("tokenizer",
                  fmt::format("'{}' is not in the vocabulary, which has no unknown token",
                              piece.substr(token.begin, token.end - token.begin)),
                  "use a tokenizer with an unk_id");
    while (i + 1 < found.size() && is_unknown(found[i + 1])) token.end = found[++i].end;
    const std::string_view text = piece.substr(token.begin, token.end - token.begin);
    const int32_t whole = vocabulary_.find(text);
    const bool every_byte = byte_fallback_ && std::all_of(text.begin(), text.end(), [&](char byte) {
                              return byte_ids_[static_cast<uint8_t>(byte)] != Vocabulary::none;
                            });
    if (whole != Vocabulary::none) {
      out.push_back({whole, token.begin, token.end});
    } else if (every_byte) {
      for (const char byte : text) out.push_back({byte_ids_[static_cast<uint8_t>(byte)], token.begin, token.end});
    } else {
      out.push_back(token);
    }
  }
}

std::string Unigram::to_json() const {
  std::string out = fmt::format(R"("type": "Unigram", "unk_id": {}, "byte_fallback": {},)"
                                "\n\"vocab\": [",
                                unknown_ == Vocabulary::none ? "null" : std::to_string(unknown_), byte_fallback_);
  for (int64_t id = 0; id < vocabulary_.id_end(); ++id)
    out += fmt::format("{}[{}, {}]", id == 0 ? "\n" : ",\n", Json(vocabulary_.token(id)).dump(),
                       Json(written_scores_[id]).dump());
  return "{" + out + "]}";
}

}  // namespace qkv
