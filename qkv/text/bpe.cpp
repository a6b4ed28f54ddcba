#include "qkv/text/bpe.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

std::optional<std::string> optional_string(const JsonCursor& json) {
  if (json.is_null()) return std::nullopt;
  return std::string(json.string());
}

// An empty decoration is none.
std::optional<std::string> decoration(const JsonCursor& json) {
  std::optional<std::string> text = optional_string(json);
  return text && text->empty() ? std::nullopt : text;
}

Bpe::MergeTexts merge_texts(const JsonCursor& json) {
  Bpe::MergeTexts merges(json.array_size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const Json& entry = json.json()[i];
    if (entry.is_string()) {
      const std::string_view text = entry.get_ref<const std::string&>();
      const auto halves = Bpe::split_merge(text);
      if (!halves) json.at(i).fail(fmt::format("'{}' is not two tokens with a space between", text));
      merges[i] = *halves;
    } else {
      if (!entry.is_array() || entry.size() != 2) json.at(i).fail("expected two tokens");
      merges[i] = {json.at(i).at(0).string(), json.at(i).at(1).string()};
    }
  }
  return merges;
}

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, const MergeTexts& merges, const std::string& where, Settings settings)
    : TokenModel(std::move(vocabulary)), settings_(std::move(settings)) {
  unknown_ = settings_.unknown;
  for (int byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = vocabulary_.find(settings_.pieces_are_bytes ? utf8(byte_to_char(static_cast<uint8_t>(byte)))
                                                                  : byte_token(static_cast<uint8_t>(byte)));
  every_byte_ = std::count(byte_ids_.begin(), byte_ids_.end(), Vocabulary::none) == 0;
  plain_bytes_ = settings_.pieces_are_bytes && !settings_.prefix && !settings_.suffix &&
                 (every_byte_ || unknown_ == Vocabulary::none);
  add_merges(merges, where);
  table_.reserve(merges_.size());
  for (size_t rank = 0; rank < merges_.size(); ++rank)
    table_.add(merges_[rank].left, merges_[rank].right, static_cast<uint32_t>(rank), merges_[rank].joined);
}

std::unique_ptr<Bpe> Bpe::parse(const JsonCursor& json, bool pieces_are_bytes) {
  Vocabulary vocabulary = Vocabulary::parse(json["vocab"]);
  Settings settings{.pieces_are_bytes = pieces_are_bytes,
                    .byte_fallback = json["byte_fallback"].boolean_or(false),
                    .fuse_unknown = json["fuse_unk"].boolean_or(false),
                    .ignore_merges = json["ignore_merges"].boolean_or(false),
                    .prefix = decoration(json["continuing_subword_prefix"]),
                    .suffix = decoration(json["end_of_word_suffix"])};
  if (const auto name = optional_string(json["unk_token"])) {
    settings.unknown = vocabulary.find(*name);
    if (settings.unknown == Vocabulary::none)
      json["unk_token"].fail(fmt::format("'{}' is not in the vocabulary", *name));
  }
  const JsonCursor merges = json["merges"];
  auto model = std::make_unique<Bpe>(std::move(vocabulary), merge_texts(merges), merges.where(), std::move(settings));
  if (pieces_are_bytes && model->settings_.byte_fallback && !model->every_byte_)
    json["byte_fallback"].fail(
        "is set beside a ByteLevel pre-tokenizer whose characters are not all in the vocabulary");
  return model;
}

std::optional<Bpe::MergeTexts::value_type> Bpe::split_merge(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

void Bpe::add_merges(const MergeTexts& merges, const std::string& where) {
  merges_.reserve(merges.size());
  const auto id_of = [&](std::string_view token) {
    const int32_t id = vocabulary_.find(token);
    if (id == Vocabulary::none)
      throw Error(fmt::format("{}[{}]", where, merges_.size()),
                  fmt::format("token '{}' is not in the vocabulary", token));
    return id;
  };
  const std::optional<std::string>& prefix = settings_.prefix;
  std::string joined;
  for (const auto& [left, right] : merges) {
    joined = left;
    joined += prefix && right.starts_with(*prefix) ? right.substr(prefix->size()) : right;
    merges_.push_back({id_of(left), id_of(right), id_of(joined)});
  }
}

void Bpe::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  if (settings_.ignore_merges) {
    const int32_t whole =
        settings_.pieces_are_bytes ? vocabulary_.find(bytes_to_chars(piece)) : vocabulary_.find(piece);
    if (whole != Vocabulary::none) {
      out.push_back({whole, 0, static_cast<uint32_t>(piece.size())});
      return;
    }
  }
  const size_t first = out.size();
  std::string characters;
  if (plain_bytes_) {
    split_bytes(piece, out);
  } else {
    split_chars(settings_.pieces_are_bytes ? std::string_view(characters = bytes_to_chars(piece)) : piece, out);
  }
  table_.apply(out, first);
}

// A byte whose character is not in the vocabulary gives no token.
void Bpe::split_bytes(std::string_view piece, std::vector<ModelToken>& out) const {
  for (uint32_t i = 0; i < piece.size(); ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(piece[i])];
    if (id != Vocabulary::none) out.push_back({id, i, i + 1});
  }
}

bool Bpe::fall_back_to_bytes(std::string_view text, uint32_t at, std::vector<ModelToken>& out) const {
  for (const char byte : text)
    if (byte_ids_[static_cast<uint8_t>(byte)] == Vocabulary::none) return false;
  for (const char byte : text) {
    out.push_back({byte_ids_[static_cast<uint8_t>(byte)], at, at + 1});
    ++at;
  }
  return true;
}

void Bpe::split_chars(std::string_view piece, std::vector<ModelToken>& out) const {
  ModelToken pending{unknown_, 0, 0};  // unknown text not yet given out
  const auto flush = [&] {
    if (pending.end > pending.begin) out.push_back(pending);
    pending.begin = pending.end;
  };
  std::string decorated;
  uint32_t at = 0;
  for (size_t i = 0; i < piece.size();) {
    const auto length = static_cast<size_t>(utf8_length(piece[i]));
    std::string_view symbol = piece.substr(i, length);
    const bool continues = settings_.prefix && i > 0, ends = settings_.suffix && i + length == piece.size();
    if (continues || ends) {
      decorated = continues ? *settings_.prefix : "";
      decorated += symbol;
      if (ends) decorated += *settings_.suffix;
      symbol = decorated;
    }
    i += length;
    const uint32_t begin = at;
    at += settings_.pieces_are_bytes ? 1 : static_cast<uint32_t>(length);  // a byte-level character stands for one byte
    if (const int32_t id = vocabulary_.find(symbol); id != Vocabulary::none) {
      flush();
      out.push_back({id, begin, at});
    } else if (settings_.byte_fallback && fall_back_to_bytes(symbol, begin, out)) {
      continue;
    } else if (unknown_ != Vocabulary::none) {
      if (!settings_.fuse_unknown) flush();
      if (pending.begin == pending.end) pending.begin = begin;
      pending.end = at;
    }
  }
  flush();
}

bool Bpe::splits_before_marker() const {
  return !settings_.pieces_are_bytes && !settings_.ignore_merges && !settings_.prefix && !settings_.suffix &&
         vocabulary_.find(space_marker) != Vocabulary::none && no_token_crosses_marker(vocabulary_);
}

std::string Bpe::to_json() const {
  const auto text = [](const std::optional<std::string>& value) { return value ? Json(*value).dump() : "null"; };
  std::string out = fmt::format(
      R"("type": "BPE", "dropout": null, "unk_token": {}, "continuing_subword_prefix": {}, "end_of_word_suffix": {}, )"
      R"("fuse_unk": {}, "byte_fallback": {}, "ignore_merges": {},)"
      "\n{},\n\"merges\": [",
      unknown_ == Vocabulary::none ? "null" : Json(vocabulary_.token(unknown_)).dump(), text(settings_.prefix),
      text(settings_.suffix), settings_.fuse_unknown, settings_.byte_fallback, settings_.ignore_merges,
      vocabulary_json());
  for (size_t i = 0; i < merges_.size(); ++i)
    out += fmt::format("{}[{}, {}]", i == 0 ? "\n" : ",\n", Json(vocabulary_.token(merges_[i].left)).dump(),
                       Json(vocabulary_.token(merges_[i].right)).dump());
  return "{" + out + "]}";
}

}  // namespace qkv
