// The model of a tokenizer: the step that cuts a piece of text into tokens.
#pragma once

#include "qkv/text/vocabulary.h"

#include <memory>
#include <string_view>
#include <vector>

namespace qkv {

// A token and the bytes [begin, end) of the piece that it covers. Tokens may overlap or cover nothing: those that stand
// for the bytes of one character do.
struct ModelToken {
  int32_t id;
  uint32_t begin;
  uint32_t end;
};

// What text spaces become in many vocabularies: U+2581.
inline constexpr std::string_view space_marker = "\xE2\x96\x81";

// Whether no token has a space marker behind another character.
bool no_token_crosses_marker(const Vocabulary& vocabulary);

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the tokens of a piece; thread-safe. Throws Error for text that the vocabulary cannot express.
  virtual void tokenize(std::string_view piece, std::vector<ModelToken>& out) const = 0;

  virtual std::string_view name() const = 0;  // "BPE", ...

  // "model" of a tokenizer.json; empty for a model that is saved as files of its own.
  virtual std::string to_json() const { return {}; }

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // The token for unknown text, or Vocabulary::none.
  int32_t unknown() const { return unknown_; }

  // Whether an Encoding spells unknown text as the text itself, not as the unknown token.
  virtual bool unknown_keeps_text() const { return false; }

  // Whether a text may be cut before every space marker that follows another character, without a change of its
  // tokens. The words are then known from before, mostly.
  virtual bool splits_before_marker() const { return false; }

  // Whether the token marks something, such as a text's end, and stands for no text.
  virtual bool is_control(int32_t) const { return false; }

  // The "type" of such a model, also where an early version of the format left it out.
  static std::string kind(const JsonCursor& json);

  // From the "model" of a tokenizer.json. `pieces_are_bytes`: pieces come as plain bytes and the vocabulary is in
  // byte-level characters. Throws Error for a kind that is not supported and for inconsistent content.
  static std::unique_ptr<TokenModel> parse(const JsonCursor& json, bool pieces_are_bytes);

 protected:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

  // "vocab": {...} in order of ids, for to_json().
  std::string vocabulary_json() const;

  Vocabulary vocabulary_;
  int32_t unknown_ = Vocabulary::none;
};

}  // namespace qkv
