#include "qkv/text/pipeline.h"

#include "qkv/core/error.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

constexpr size_t largest_text = (size_t{1} << 31) - 1;

void check_text(std::string_view text) {
  if (text.size() > largest_text) throw Error("tokenizer", "the text has 2 GiB or more", "encode it in parts");
  require_utf8(text, "text");
}

}  // namespace

Tokenizer::Pipeline::Lease::Lease(const Pipeline& pipeline) : pipeline_(pipeline) {
  const std::lock_guard lock(pipeline.mutex_);
  if (pipeline.idle_.empty()) {
    workspace_ = std::make_unique<Workspace>();
  } else {
    workspace_ = std::move(pipeline.idle_.back());
    pipeline.idle_.pop_back();
  }
}

Tokenizer::Pipeline::Lease::~Lease() {
  const std::lock_guard lock(pipeline_.mutex_);
  pipeline_.idle_.push_back(std::move(workspace_));
}

std::string_view Tokenizer::Pipeline::token(int64_t id) const {
  const AddedToken* const found = added.find(id);
  return found ? std::string_view(found->decoded) : model->vocabulary().token(id);
}

Pieces Tokenizer::Pipeline::split(std::string_view text, bool tracked) const {
  Pieces pieces = added.extract(text, normalizer.get(), tracked);
  if (pre_tokenizer) pre_tokenizer->split(pieces);
  if (marker_cuts) split_before_markers(pieces);
  return pieces;
}

Encoding Tokenizer::Pipeline::encode(std::string_view text) const {
  check_text(text);
  const Pieces pieces = split(text, true);
  std::vector<int32_t> position;  // byte -> code point; not needed when they are the same
  if (!is_ascii(text)) {
    position.resize(text.size() + 1);
    for (size_t i = 0; i < text.size(); ++i)
      position[i + 1] = position[i] + (i + 1 == text.size() || !utf8_continues(text[i + 1]));
  }
  const auto code_point = [&](uint32_t byte) { return position.empty() ? static_cast<int32_t>(byte) : position[byte]; };

  Encoding out;
  const std::vector<Span>& origin = pieces.text.origin;
  const auto put = [&](int32_t id, std::string_view name, size_t begin, size_t end) {
    out.ids.push_back(id);
    out.tokens.emplace_back(name);
    end = std::min(end, origin.size());
    begin = std::min(begin, origin.size() - 1);
    const uint32_t start = origin[begin].begin;
    out.offsets.emplace_back(code_point(start), code_point(begin < end ? origin[end - 1].end : start));
  };
  std::vector<ModelToken> tokens;
  int32_t word = -1;
  for (const Piece& piece : pieces.pieces) {
    out.words.resize(out.ids.size(), word++);
    const auto piece_text = std::string_view(pieces.text.text).substr(piece.begin, piece.end - piece.begin);
    if (piece.added_token >= 0) {
      put(piece.added_token, piece_text, piece.begin, piece.end);
      continue;
    }
    tokens.clear();
    model->tokenize(piece_text, tokens);
    for (const ModelToken& token : tokens) {
      const bool spelled = token.id == model->unknown() && model->unknown_keeps_text();
      put(token.id,
          spelled ? piece_text.substr(token.begin, token.end - token.begin) : model->vocabulary().token(token.id),
          piece.begin + token.begin, piece.begin + token.end);
    }
  }
  out.words.resize(out.ids.size(), word);
  return out;
}

void Tokenizer::Pipeline::encode_ids(std::string_view text, std::vector<int32_t>& out) const {
  check_text(text);
  Lease workspace(*this);
  if (shortcut == Shortcut::none || !added.absent_from(text)) {
    encode_pieces(text, *workspace, out);
  } else if (shortcut == Shortcut::scanner) {
    encode_scanned(text, *workspace, out);
  } else {
    encode_bert(text, *workspace, out);
  }
}

void Tokenizer::Pipeline::add_word(std::string_view word, const char* readable, Workspace& workspace,
                                   std::vector<int32_t>& out) const {
  const WordCache::Key key = WordCache::key(word, readable);
  if (workspace.cache.find(key, out)) return;
  workspace.tokens.clear();
  model->tokenize(word, workspace.tokens);
  workspace.ids.clear();
  for (const ModelToken& token : workspace.tokens) workspace.ids.push_back(token.id);
  out.insert(out.end(), workspace.ids.begin(), workspace.ids.end());
  workspace.cache.insert(key, workspace.ids);
}

void Tokenizer::Pipeline::encode_scanned(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const {
  const Scanner scan(scanner);
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const char* const next = scan.next(p, end);
    add_word({p, static_cast<size_t>(next - p)}, end, workspace, out);
    p = next;
  }
}

void Tokenizer::Pipeline::encode_pieces(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const {
  const Pieces pieces = split(text, false);
  const std::string_view all = pieces.text.text;
  for (const Piece& piece : pieces.pieces) {
    if (piece.added_token >= 0) {
      out.push_back(piece.added_token);
    } else {
      add_word(all.substr(piece.begin, piece.end - piece.begin), all.data() + all.size(), workspace, out);
    }
  }
}

// BERT's normalizer and pre-tokenizer on ASCII in one pass; what stands between two white spaces and is not ASCII
// goes through the general steps, for which white space is always a boundary.
void Tokenizer::Pipeline::encode_bert(std::string_view text, Workspace& workspace, std::vector<int32_t>& out) const {
  const BertNormalizer::Options& options = static_cast<const BertNormalizer&>(*normalizer).options();
  const CharClasses classes;
  std::string& word = workspace.word;
  const auto flush = [&] {
    if (!word.empty()) add_word(word, word.data() + word.capacity(), workspace, out);
    word.clear();
  };
  const auto is_boundary = [&](char c) {
    if (c & 0x80) return false;
    const uint8_t bits = classes.ascii(c);
    return bits & white_space && !(options.clean_text && bits & control_or_null);  // cleaning drops those instead
  };
  word.clear();
  word.reserve(64);
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    bool ascii = true;
    for (; end < text.size() && !is_boundary(text[end]); ++end) ascii &= !(text[end] & 0x80);
    if (!ascii) {
      encode_pieces(text.substr(i, end - i), workspace, out);
    } else {
      for (; i < end; ++i) {
        const char c = text[i];
        const uint8_t bits = classes.ascii(c);
        if (bits & control_or_null && options.clean_text) continue;
        if (bits & punctuation) flush();
        word += options.lowercase && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        if (bits & punctuation) flush();
      }
      flush();
    }
    i = end + 1;
  }
}

}  // namespace qkv
