// SentencePiece's .model files (Kudo and Richardson, "SentencePiece", 2018).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

// What a .model says, as far as encoding and decoding need it. Defaults are the format's.
struct SentencePieceFile {
  enum Type : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = normal;
  };
  enum Algorithm : uint8_t { unigram = 1, bpe = 2 };

  std::vector<Piece> pieces;  // ids are positions
  Algorithm algorithm = unigram;
  bool whitespace_as_suffix = false;
  bool byte_fallback = false;
  int64_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;  // -1: there is none; unk_id is that of the unknown piece
  std::string unk_surface = " \xE2\x81\x87 ";               // what an unknown token decodes to

  std::string charsmap;  // of the normalizer, precompiled; empty: none
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  std::string denormalizer_charsmap;

  // Throws Error naming `where` for what is not a model: broken structure, no or two unknown pieces, an empty piece or
  // one that is there twice, a score that is not finite, missing bytes beside byte_fallback, a word or character model.
  static SentencePieceFile parse(std::string_view bytes, const std::string& where);

  // The piece's text where `id` is the id of a piece, else "".
  std::string_view text(int64_t id) const;
};

}  // namespace qkv
