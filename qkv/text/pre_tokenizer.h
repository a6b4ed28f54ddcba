// Pre-tokenizers: the second step, which cuts the text into pieces that no token will cross.
#pragma once

#include "qkv/text/aligned_text.h"
#include "qkv/text/json_cursor.h"
#include "qkv/text/scanner.h"

#include <functional>
#include <memory>
#include <vector>

namespace qkv {

// Bytes [begin, end) of a text; an added token's id, or -1 for text that the model still has to cut.
struct Piece {
  uint32_t begin;
  uint32_t end;
  int32_t added_token = -1;
};

// Pieces in order; none is empty, and what lies between two was removed.
struct Pieces {
  AlignedText text;
  std::vector<Piece> pieces;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void split(Pieces& pieces) const = 0;

  // The scanner that alone does this pre-tokenizer's work, where there is one.
  virtual Pattern scanner() const { return Pattern::other; }

  // From the "pre_tokenizer" of a tokenizer.json; nullptr for null. `bytes_at_end` becomes true when the last step
  // is ByteLevel's map from bytes to characters: that step is then left out, and the model is to read the bytes.
  // A null `bytes_at_end` keeps the step. Throws Error for a type that is not supported.
  static std::unique_ptr<PreTokenizer> parse(const JsonCursor& json, bool* bytes_at_end);
};

// What happens to the matches of a split.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// Cuts every text piece where found(Regex::Match) says the matches are.
using FindMatches = std::function<void(std::string_view, const std::function<void(size_t begin, size_t end)>&)>;
void split_pieces(Pieces& pieces, SplitBehavior behavior, bool invert, const FindMatches& find);

// Cuts every text piece before each space marker that follows another character.
void split_before_markers(Pieces& pieces);

// Rewrites each text piece into a fresh text; `first` is true for a piece at the input's start.
void rewrite_pieces(Pieces& pieces, const std::function<void(AlignedText& piece, bool first)>& rewrite);

}  // namespace qkv
