#include "qkv/text/sentencepiece_file.h"

#include "qkv/core/error.h"
#include "qkv/text/byte_level.h"
#include "qkv/text/protobuf.h"
#include "qkv/text/vocabulary.h"

#include <bitset>
#include <cmath>
#include <unordered_set>

namespace qkv {
namespace {

// The numbers of the fields in sentencepiece_model.proto.
namespace model_field {
constexpr uint32_t piece = 1, trainer = 2, normalizer = 3, denormalizer = 5;
}
namespace piece_field {
constexpr uint32_t text = 1, score = 2, type = 3;
}
namespace trainer_field {
constexpr uint32_t model_type = 3, whitespace_as_suffix = 24, byte_fallback = 35, bos_id = 41, eos_id = 42, pad_id = 43,
                   unk_surface = 44;
}
namespace normalizer_field {
constexpr uint32_t charsmap = 2, dummy_prefix = 3, extra_whitespaces = 4, escape_whitespaces = 5;
}

SentencePieceFile::Piece read_piece(std::string_view message, const std::string& where) {
  SentencePieceFile::Piece piece;
  for (ProtobufReader reader(message, where); reader.next();) {
    if (reader.field() == piece_field::text) piece.text = reader.string();
    if (reader.field() == piece_field::score) piece.score = reader.number();
    if (reader.field() == piece_field::type) {
      if (reader.integer() < SentencePieceFile::normal || reader.integer() > SentencePieceFile::byte)
        throw Error(where, fmt::format("has a piece of type {}", reader.integer()));
      piece.type = static_cast<SentencePieceFile::Type>(reader.integer());
    }
  }
  return piece;
}

void read_trainer(SentencePieceFile& out, std::string_view message, const std::string& where) {
  for (ProtobufReader reader(message, where + ": trainer_spec"); reader.next();) {
    switch (reader.field()) {
      case trainer_field::model_type:
        if (reader.integer() != SentencePieceFile::unigram && reader.integer() != SentencePieceFile::bpe)
          throw Error(where, fmt::format("is of model type {}", reader.integer()),
                      "word and character models are not supported; unigram (1) and BPE (2) are");
        out.algorithm = static_cast<SentencePieceFile::Algorithm>(reader.integer());
        break;
      case trainer_field::whitespace_as_suffix:
        out.whitespace_as_suffix = reader.boolean();
        break;
      case trainer_field::byte_fallback:
        out.byte_fallback = reader.boolean();
        break;
      case trainer_field::bos_id:
        out.bos_id = reader.integer();
        break;
      case trainer_field::eos_id:
        out.eos_id = reader.integer();
        break;
      case trainer_field::pad_id:
        out.pad_id = reader.integer();
        break;
      case trainer_field::unk_surface:
        out.unk_surface = reader.string();
        break;
      default:
        break;
    }
  }
}

void read_normalizer(SentencePieceFile& out, std::string_view message, const std::string& where) {
  for (ProtobufReader reader(message, where + ": normalizer_spec"); reader.next();) {
    if (reader.field() == normalizer_field::charsmap) out.charsmap = reader.bytes();
    if (reader.field() == normalizer_field::dummy_prefix) out.add_dummy_prefix = reader.boolean();
    if (reader.field() == normalizer_field::extra_whitespaces) out.remove_extra_whitespaces = reader.boolean();
    if (reader.field() == normalizer_field::escape_whitespaces) out.escape_whitespaces = reader.boolean();
  }
}

void check(SentencePieceFile& model, const std::string& where) {
  if (static_cast<int64_t>(model.pieces.size()) > Vocabulary::largest_id)
    throw Error(where, fmt::format("has {} pieces", model.pieces.size()));
  std::unordered_set<std::string_view> seen;
  std::bitset<256> bytes;
  int64_t unknowns = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceFile::Piece& piece = model.pieces[id];
    const auto fail = [&](std::string_view what) { throw Error(where, fmt::format("piece {} {}", id, what)); };
    if (piece.text.empty()) fail("is empty");
    if (!std::isfinite(piece.score)) fail(fmt::format("'{}' has no finite score", piece.text));
    if (!seen.insert(piece.text).second) fail(fmt::format("'{}' is there twice", piece.text));
    if (piece.type == SentencePieceFile::unknown) model.unk_id = static_cast<int64_t>(id), ++unknowns;
    if (piece.type != SentencePieceFile::byte) continue;
    if (byte_of_token(piece.text) < 0) fail(fmt::format("'{}' is not a byte", piece.text));
    bytes.set(static_cast<size_t>(byte_of_token(piece.text)));
  }
  if (unknowns != 1)
    throw Error(where, fmt::format("has {} unknown pieces among {}, expected one", unknowns, model.pieces.size()),
                "is this a SentencePiece model?");
  if (model.byte_fallback && !bytes.all())
    throw Error(where, fmt::format("has byte_fallback, but pieces for {} of the 256 bytes", bytes.count()));
}

}  // namespace

SentencePieceFile SentencePieceFile::parse(std::string_view bytes, const std::string& where) {
  SentencePieceFile out;
  for (ProtobufReader reader(bytes, where); reader.next();) {
    switch (reader.field()) {
      case model_field::piece:
        out.pieces.push_back(read_piece(reader.bytes(), where));
        break;
      case model_field::trainer:
        read_trainer(out, reader.bytes(), where);
        break;
      case model_field::normalizer:
        read_normalizer(out, reader.bytes(), where);
        break;
      case model_field::denormalizer:
        for (ProtobufReader inner(reader.bytes(), where + ": denormalizer_spec"); inner.next();)
          if (inner.field() == normalizer_field::charsmap) out.denormalizer_charsmap = inner.bytes();
        break;
      default:
        break;
    }
  }
  check(out, where);
  return out;
}

std::string_view SentencePieceFile::text(int64_t id) const {
  return id >= 0 && id < static_cast<int64_t>(pieces.size()) ? std::string_view(pieces[id].text) : std::string_view();
}

}  // namespace qkv
