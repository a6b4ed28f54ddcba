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

}  // namespace

Bpe::Bpe(const JsonCursor& json, bool pieces_are_bytes)
    : TokenModel(Vocabulary::parse(json["vocab"])),
      bytes_(pieces_are_bytes),
      byte_fallback_(json["byte_fallback"].boolean_or(false)),
      fuse_unknown_(json["fuse_unk"].boolean_or(false)),
      ignore_merges_(json["ignore_merges"].boolean_or(false)),
      prefix_(optional_string(json["continuing_subword_prefix"])),
      suffix_(optional_string(json["end_of_word_suffix"])) {
  if (prefix_ && prefix_->empty()) prefix_.reset();
  if (suffix_ && suffix_->empty()) suffix_.reset();
  if (const auto name = optional_string(json["unk_token"])) {
    unknown_ = vocabulary_.find(*name);
    if (unknown_ == Vocabulary::none) json["unk_token"].fail(fmt::format("'{}' is not in the vocabulary", *name));
  }
  for (int byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = vocabulary_.find(bytes_ ? utf8(byte_to_char(static_cast<uint8_t>(byte)))
                                              : byte_token(static_cast<uint8_t>(byte)));
  const bool every_byte = std::count(byte_ids_.begin(), byte_ids_.end(), Vocabulary::none) == 0;
  plain_bytes_ = bytes_ && !prefix_ && !suffix_ && (every_byte || unknown_ == Vocabulary::none);
  if (bytes_ && byte_fallback_ && !every_byte)
    json["byte_fallback"].fail(
        "is set beside a ByteLevel pre-tokenizer whose characters are not all in the vocabulary");
  read_merges(json["merges"]);
  table_.reserve(merges_.size());
  for (size_t rank = 0; rank < merges_.size(); ++rank)
    table_.add(merges_[rank].left, merges_[rank].right, static_cast<uint32_t>(rank), merges_[rank].joined);
}

// Each merge is "left right" or ["left", "right"].
void Bpe::read_merges(const JsonCursor& json) {
  const size_t count = json.array_size();
  merges_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const Json& entry = json.json()[i];
    if (entry.is_string()) {
      const std::string_view text = entry.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
        json.at(i).fail(fmt::format("'{}' is not two tokens with a space between", text));
      add_merge(text.substr(0, space), text.substr(space + 1), json.at(i));
    } else {
      if (!entry.is_array() || entry.size() != 2) json.at(i).fail("expected two tokens");
      add_merge(json.at(i).at(0).string(), json.at(i).at(1).string(), json.at(i));
    }
  }
}

void Bpe::add_merge(std::string_view left, std::string_view right, const JsonCursor& where) {
  const auto id_of = [&](std::string_view token) {
    const int32_t id = vocabulary_.find(token);
    if (id == Vocabulary::none) where.fail(fmt::format("token '{}' is not in the vocabulary", token));
    return id;
  };
  std::string joined(left);
  joined += prefix_ && right.starts_with(*prefix_) ? right.substr(prefix_->size()) : right;
  merges_.push_back({id_of(left), id_of(right), id_of(joined)});
}

void Bpe::tokenize(std::string_view piece, std::vector<ModelToken>& out) const {
  if (ignore_merges_) {
    const int32_t whole = bytes_ ? vocabulary_.find(bytes_to_chars(piece)) : vocabulary_.find(piece);
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
    split_chars(bytes_ ? std::string_view(characters = bytes_to_chars(piece)) : piece, out);
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
    const bool continues = prefix_ && i > 0, ends = suffix_ && i + length == piece.size();
    if (continues || ends) {
      decorated = continues ? *prefix_ : "";
      decorated += symbol;
      if (ends) decorated += *suffix_;
      symbol = decorated;
    }
    i += length;
    const uint32_t begin = at;
    at += bytes_ ? 1 : static_cast<uint32_t>(length);  // a byte-level character stands for one byte
    if (const int32_t id = vocabulary_.find(symbol); id != Vocabulary::none) {
      flush();
      out.push_back({id, begin, at});
    } else if (byte_fallback_ && fall_back_to_bytes(symbol, begin, out)) {
      continue;
    } else if (unknown_ != Vocabulary::none) {
      if (!fuse_unknown_) flush();
      if (pending.begin == pending.end) pending.begin = begin;
      pending.end = at;
    }
  }
  flush();
}

bool Bpe::splits_before_marker() const {
  return !bytes_ && !ignore_merges_ && !prefix_ && !suffix_ && vocabulary_.find(space_marker) != Vocabulary::none &&
         no_token_crosses_marker(vocabulary_);
}

std::string Bpe::to_json() const {
  const auto text = [](const std::optional<std::string>& value) { return value ? Json(*value).dump() : "null"; };
  std::string out = fmt::format(
      R"("type": "BPE", "dropout": null, "unk_token": {}, "continuing_subword_prefix": {}, "end_of_word_suffix": {}, )"
      R"("fuse_unk": {}, "byte_fallback": {}, "ignore_merges": {},)"
      "\n{},\n\"merges\": [",
      unknown_ == Vocabulary::none ? "null" : Json(vocabulary_.token(unknown_)).dump(), text(prefix_), text(suffix_),
      fuse_unknown_, byte_fallback_, ignore_merges_, vocabulary_json());
  for (size_t i = 0; i < merges_.size(); ++i)
    out += fmt::format("{}[{}, {}]", i == 0 ? "\n" : ",\n", Json(vocabulary_.token(merges_[i].left)).dump(),
                       Json(vocabulary_.token(merges_[i].right)).dump());
  return "{" + out + "]}";
}

}  // namespace qkv
