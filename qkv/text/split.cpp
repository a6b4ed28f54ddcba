#include "qkv/text/pre_tokenizer.h"
#include "qkv/text/token_model.h"

namespace qkv {
namespace {

struct Stretch {
  size_t begin;
  size_t end;
  bool match;
};

// Joins or drops neighbouring parts.
std::vector<Stretch> apply(SplitBehavior behavior, std::vector<Stretch> parts) {
  std::vector<Stretch> out;
  bool previous = false;
  if (behavior == SplitBehavior::merged_with_next) {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (part->match && !previous && !out.empty()) {
        out.back().begin = part->begin;
      } else {
        out.push_back(*part);
      }
      previous = part->match;
    }
    std::reverse(out.begin(), out.end());
    return out;
  }
  for (const Stretch& part : parts) {
    const bool joins = behavior == SplitBehavior::contiguous             ? part.match == previous
                       : behavior == SplitBehavior::merged_with_previous ? part.match && !previous
                                                                         : false;
    if (joins && !out.empty()) {
      out.back().end = part.end;
    } else if (behavior != SplitBehavior::removed || !part.match) {
      out.push_back(part);
    }
    previous = part.match;
  }
  return out;
}

}  // namespace

void split_pieces(Pieces& pieces, SplitBehavior behavior, bool invert, const FindMatches& find) {
  std::vector<Piece> out;
  std::vector<Stretch> parts;
  for (const Piece& piece : pieces.pieces) {
    if (piece.added_token >= 0) {
      out.push_back(piece);
      continue;
    }
    const auto text = std::string_view(pieces.text.text).substr(piece.begin, piece.end - piece.begin);
    parts.clear();
    size_t previous = 0;
    find(text, [&](size_t begin, size_t end) {
      if (begin > previous) parts.push_back({previous, begin, invert});
      parts.push_back({begin, end, !invert});
      previous = end;
    });
    if (previous < text.size()) parts.push_back({previous, text.size(), invert});
    for (const Stretch& part : apply(behavior, std::move(parts)))
      if (part.end > part.begin)
        out.push_back({static_cast<uint32_t>(piece.begin + part.begin), static_cast<uint32_t>(piece.begin + part.end)});
  }
  pieces.pieces = std::move(out);
}

void split_before_markers(Pieces& pieces) {
  std::vector<Piece> out;
  out.reserve(pieces.text.text.size() / 6 + 8);
  const char* const base = pieces.text.text.data();
  for (const Piece& piece : pieces.pieces) {
    if (piece.added_token >= 0) {
      out.push_back(piece);
      continue;
    }
    uint32_t begin = piece.begin;
    bool after_marker = true;  // or at the piece's start
    for (uint32_t at = begin; at < piece.end;) {
      const bool marker =
          base[at] == space_marker[0] && std::string_view(base + at, piece.end - at).starts_with(space_marker);
      if (marker && !after_marker) {
        out.push_back({begin, at});
        begin = at;
      }
      after_marker = marker;
      at += marker ? space_marker.size() : 1;
    }
    out.push_back({begin, piece.end});
  }
  pieces.pieces = std::move(out);
}

void rewrite_pieces(Pieces& pieces, const std::function<void(AlignedText&, bool)>& rewrite) {
  Pieces out;
  out.text.tracked = pieces.text.tracked;
  out.pieces.reserve(pieces.pieces.size());
  for (const Piece& piece : pieces.pieces) {
    const size_t begin = out.text.text.size();
    if (piece.added_token >= 0) {
      out.text.append(pieces.text, piece.begin, piece.end);
    } else {
      AlignedText part{{}, {}, pieces.text.tracked};
      part.append(pieces.text, piece.begin, piece.end);
      rewrite(part, &piece == pieces.pieces.data() && piece.begin == 0);
      out.text.append(part, 0, part.text.size());
    }
    if (out.text.text.size() == begin) continue;
    out.pieces.push_back(
        {static_cast<uint32_t>(begin), static_cast<uint32_t>(out.text.text.size()), piece.added_token});
  }
  pieces = std::move(out);
}

}  // namespace qkv
