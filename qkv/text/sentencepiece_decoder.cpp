#include "qkv/text/byte_level.h"
#include "qkv/text/sentencepiece.h"
#include "qkv/text/unicode.h"

namespace qkv {
namespace {

class SentencePieceDecoder : public Decoder {
 public:
  explicit SentencePieceDecoder(std::shared_ptr<const SentencePieceFile> file)
      : file_(std::move(file)), map_(file_->denormalizer_charsmap, "denormalizer_spec.precompiled_charsmap") {
    for (const auto& piece : file_->pieces) types_.emplace(piece.text, piece.type);
  }

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::string out, bytes;
    const auto flush = [&] {
      // Each byte that is not part of a character becomes one U+FFFD.
      for (size_t i = 0; i < bytes.size();) {
        const size_t length = std::min<size_t>(utf8_length(bytes[i]), bytes.size() - i);
        const std::string_view character = std::string_view(bytes).substr(i, length);
        const bool valid = invalid_utf8(character) == std::string_view::npos;
        out += valid ? std::string(character) : utf8(replacement_character);
        i += valid ? length : 1;
      }
      bytes.clear();
    };
    bool at_start = true, start_had_space = false;
    for (const std::string& token : tokens) {
      const auto type = types_.find(token);
      if (type != types_.end() && type->second == SentencePieceFile::byte) {
        bytes += static_cast<char>(byte_of_token(token));
        continue;
      }
      flush();
      if (start_had_space || !out.empty()) at_start = false;
      start_had_space = false;
      if (type == types_.end()) {
        out += token;  // the text of something unknown
      } else if (type->second == SentencePieceFile::unknown) {
        out += file_->unk_surface;
      } else if (type->second != SentencePieceFile::control) {
        start_had_space = append(token, at_start, out);
      }
    }
    flush();
    if (!file_->denormalizer_charsmap.empty()) out = denormalized(out);
    return {out};
  }

 private:
  // The piece with spaces for their markers; the text's first one goes. Returns whether it did and was the only one.
  bool append(std::string_view piece, bool at_start, std::string& out) const {
    bool had_space = false;
    if (at_start && (file_->add_dummy_prefix || file_->remove_extra_whitespaces)) {
      had_space = piece.starts_with(space_marker);
      if (had_space) piece.remove_prefix(space_marker.size());
      if (file_->remove_extra_whitespaces) had_space = false;
    }
    for (size_t i = 0; i < piece.size();) {
      if (piece.substr(i).starts_with(space_marker)) {
        out += ' ';
        i += space_marker.size();
      } else {
        out += piece[i++];
      }
    }
    return had_space;
  }

  std::string denormalized(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      const Charsmap::Rule rule = map_.longest(text.substr(i));
      const size_t used = rule.bytes > 0 ? rule.bytes : static_cast<size_t>(utf8_length(text[i]));
      out += rule.bytes > 0 ? rule.replacement : text.substr(i, used);
      i += used;
    }
    return out;
  }

  std::shared_ptr<const SentencePieceFile> file_;
  std::unordered_map<std::string_view, SentencePieceFile::Type> types_;
  Charsmap map_;
};

}  // namespace

std::unique_ptr<Decoder> sentencepiece_decoder(std::shared_ptr<const SentencePieceFile> file) {
  return std::make_unique<SentencePieceDecoder>(std::move(file));
}

}  // namespace qkv
