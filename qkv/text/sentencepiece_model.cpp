#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/sentencepiece.h"
#include "qkv/text/unicode.h"
#include "qkv/text/viterbi.h"

#include <algorithm>
#include <limits>

namespace qkv {
namespace {

using Type = SentencePieceFile::Type;

Vocabulary vocabulary_of(const SentencePieceFile& file) {
  Vocabulary vocabulary;
  for (const auto& piece : file.pieces) vocabulary.add(piece.text, vocabulary.id_end(), "SentencePiece model");
  return vocabulary;
}

bool is_text(Type type) {
  return type == SentencePieceFile::normal || type == SentencePieceFile::user_defined ||
         type == SentencePieceFile::unused;
}

std::vector<std::pair<std::string_view, int32_t>> keys_of(const SentencePieceFile& file, auto wanted) {
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t id = 0; id < file.pieces.size(); ++id)
    if (wanted(file.pieces[id].type)) keys.emplace_back(file.pieces[id].text, static_cast<int32_t>(id));
  return keys;
}

}  // namespace

SentencePieceModel::SentencePieceModel(std::shared_ptr<const SentencePieceFile> file)
    : TokenModel(vocabulary_of(*file)), file_(std::move(file)) {
  unknown_ = static_cast<int32_t>(file_->unk_id);
  prepare();
}

SentencePieceModel::SentencePieceModel(std::shared_ptr<const SentencePieceFile> file, Vocabulary vocabulary,
                                       std::string_view unknown_name, const std::vector<std::string>& control_names)
    : TokenModel(std::move(vocabulary)), file_(std::move(file)) {
  unknown_ = vocabulary_.find(unknown_name);
  if (unknown_ == Vocabulary::none) throw Error("vocab.json", fmt::format("has no unknown token '{}'", unknown_name));
  for (const std::string& name : control_names)
    if (const int32_t id = vocabulary_.find(name); id != Vocabulary::none) control_ids_.insert(id);
  for (const auto& piece : file_->pieces) {
    const int32_t id = vocabulary_.find(piece.text);
    outer_ids_.push_back(id == Vocabulary::none ? unknown_ : id);
  }
  prepare();
}

void SentencePieceModel::prepare() {
  byte_ids_.fill(Vocabulary::none);
  float lowest = std::numeric_limits<float>::max(), largest = std::numeric_limits<float>::lowest();
  for (size_t id = 0; id < file_->pieces.size(); ++id) {
    const auto& piece = file_->pieces[id];
    if (piece.type == SentencePieceFile::byte) byte_ids_[byte_of_token(piece.text)] = static_cast<int32_t>(id);
    any_unused_ |= piece.type == SentencePieceFile::unused;
    if (piece.type == SentencePieceFile::control) control_ids_.insert(vocabulary_.find(piece.text));
    if (piece.type != SentencePieceFile::normal) continue;
    lowest = std::min(lowest, piece.score);
    largest = std::max(largest, piece.score);
  }
  unknown_score_ = lowest - unknown_penalty;
  largest_score_ = largest;
  if (file_->algorithm == SentencePieceFile::bpe) {
    prepare_bpe();
  } else {
    pieces_ = Trie(keys_of(*file_, [](Type type) { return is_text(type) && type != SentencePieceFile::unused; }));
  }
}

// BPE here merges two neighbours whenever their text together is a piece, best score first. As a table: every way to
// cut a piece into two symbols, where a symbol is a piece or a character.
void SentencePieceModel::prepare_bpe() {
  const auto& pieces = file_->pieces;
  const auto keys = keys_of(*file_, is_text);
  user_defined_ = Trie(keys_of(*file_, [](Type type) { return type == SentencePieceFile::user_defined; }));
  std::unordered_map<std::string_view, int32_t> symbols;
  for (const auto& [text, id] : keys) symbols.emplace(text, id);
  auto next = static_cast<int32_t>(pieces.size());
  for (const auto& [text, id] : keys)
    for (size_t i = 0; i < text.size(); i += utf8_length(text[i])) {
      const std::string_view character = text.substr(i, utf8_length(text[i]));
      const char* p = character.data();
      const auto [at, fresh] = symbols.try_emplace(character, next);
      next += fresh;
      symbols_.emplace(next_code_point(p), at->second);
    }
  std::vector<float> scores;
  for (const auto& [text, id] : keys) scores.push_back(pieces[id].score);
  std::sort(scores.begin(), scores.end(), std::greater<>());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  struct Cut {
    int32_t left, right, joined;
  };
  std::vector<Cut> cuts;
  for (const auto& [text, id] : keys)
    for (size_t i = utf8_length(text[0]); i < text.size(); i += utf8_length(text[i])) {
      const auto left = symbols.find(text.substr(0, i)), right = symbols.find(text.substr(i));
      if (left != symbols.end() && right != symbols.end()) cuts.push_back({left->second, right->second, id});
    }
  merges_.reserve(cuts.size());
  for (const Cut& cut : cuts) {
    const auto rank = std::lower_bound(scores.begin(), scores.end(), pieces[cut.joined].score, std::greater<>());
    merges_.add(cut.left, cut.right, static_cast<uint32_t>(rank - scores.begin()), cut.joined);
  }
}

void SentencePieceModel::split(std::string_view text, uint32_t begin, uint32_t end,
                               std::vector<ModelToken>& out) const {
  for (const char *p = text.data() + begin, *stop = text.data() + end; p < stop;) {
    const auto at = static_cast<uint32_t>(p - text.data());
    const auto symbol = symbols_.find(next_code_point(p));
    out.push_back({symbol == symbols_.end() ? -1 : symbol->second, at, static_cast<uint32_t>(p - text.data())});
  }
}

void SentencePieceModel::merge_symbols(std::string_view text, uint32_t begin, uint32_t end,
                                       std::vector<ModelToken>& out) const {
  const size_t first = out.size();
  split(text, begin, end, out);
  merges_.apply(out, first);
}

// Merges never touch a user-defined piece, so the text between two of them stands alone.
void SentencePieceModel::segment_bpe(std::string_view text, std::vector<ModelToken>& out) const {
  const size_t first = out.size();
  uint32_t begin = 0;
  if (!user_defined_.empty())
    for (uint32_t at = 0; at < text.size();) {
      int32_t id = 0;
      const uint32_t bytes = user_defined_.longest(text.data() + at, text.data() + text.size(), id);
      if (bytes == 0) {
        at += utf8_length(text[at]);
        continue;
      }
      merge_symbols(text, begin, at, out);
      out.push_back({id, at, at + bytes});
      begin = at += bytes;
    }
  merge_symbols(text, begin, static_cast<uint32_t>(text.size()), out);
  if (!any_unused_) return;
  const std::vector<ModelToken> found(out.begin() + static_cast<ptrdiff_t>(first), out.end());
  out.resize(first);
  for (const ModelToken& token : found) {
    if (is_unused(token)) {
      resegment(text, token, out);
    } else {
      out.push_back(token);
    }
  }
}

bool SentencePieceModel::is_unused(const ModelToken& token) const {
  return token.id >= 0 && token.id < static_cast<int32_t>(file_->pieces.size()) &&
         file_->pieces[token.id].type == SentencePieceFile::unused;
}

// An unused piece only leads to longer ones: where it is left over it falls back into the two that it was made of.
void SentencePieceModel::resegment(std::string_view text, const ModelToken& token, std::vector<ModelToken>& out) const {
  std::vector<ModelToken> halves;
  split(text, token.begin, token.end, halves);
  if (halves.size() == 1) {
    out.push_back(token);
    return;
  }
  merges_.apply(halves, 0, 2);
  for (const ModelToken& half : halves) {
    if (is_unused(half)) {
      resegment(text, half, out);
    } else {
      out.push_back(half);
    }
  }
}

void SentencePieceModel::tokenize(std::string_view text, std::vector<ModelToken>& out) const {
  thread_local std::vector<ModelToken> found;
  found.clear();
  const auto unknown = static_cast<int32_t>(file_->unk_id);
  if (file_->algorithm == SentencePieceFile::bpe) {
    segment_bpe(text, found);
  } else {
    const auto score = [&](int32_t id, uint32_t bytes) -> float {
      const auto& piece = file_->pieces[id];
      // A user-defined piece always wins.
      if (piece.type == SentencePieceFile::user_defined)
        return static_cast<float>(static_cast<float>(bytes) * largest_score_ - 0.1);
      return piece.score;
    };
    best_segmentation<float>(text, pieces_, score, unknown, unknown_score_, found);
  }
  const size_t first = out.size();
  bool after_unknown = false;
  for (const ModelToken& token : found) {
    const bool is_unknown =
        token.id == unknown || token.id < 0 || token.id >= static_cast<int32_t>(file_->pieces.size());
    if (is_unknown && file_->byte_fallback) {
      for (uint32_t i = token.begin; i < token.end; ++i)
        out.push_back(
            {byte_ids_[static_cast<uint8_t>(text[i])], token.begin, i + 1 == token.end ? token.end : token.begin});
    } else if (is_unknown && after_unknown) {
      out.back().end = token.end;
    } else {
      out.push_back({is_unknown ? unknown : token.id, token.begin, token.end});
    }
    after_unknown = is_unknown && !file_->byte_fallback;
  }
  if (outer_ids_.empty()) return;
  for (size_t i = first; i < out.size(); ++i) {
    if (out[i].id != unknown) {
      out[i].id = outer_ids_[out[i].id];
      continue;
    }
    // What this model does not know may still be a piece of the other one.
    const int32_t outer = vocabulary_.find(text.substr(out[i].begin, out[i].end - out[i].begin));
    out[i].id = outer == Vocabulary::none ? unknown_ : outer;
  }
}

bool SentencePieceModel::splits_before_marker() const {
  if (file_->algorithm != SentencePieceFile::bpe || !outer_ids_.empty()) return false;
  const int32_t marker = vocabulary_.find(space_marker);
  return marker != Vocabulary::none && file_->pieces[marker].type == SentencePieceFile::normal &&
         no_token_crosses_marker(vocabulary_);
}

bool SentencePieceModel::is_control(int32_t id) const { return control_ids_.contains(id); }

}  // namespace qkv
