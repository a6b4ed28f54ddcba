// The model of a tokenizer: the step that cuts a piece of text into tokens.
#pragma once

#include "qkv/text/vocabulary.h"

#include <memory>
#include <string_view>
#include <vector>

namespace qkv {

// A token and how many bytes of the piece it covers.
struct ModelToken {
  int32_t id;
  uint32_t bytes;
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the tokens of a piece; thread-safe. Throws Error for text that the vocabulary cannot express.
  virtual void tokenize(std::string_view piece, std::vector<ModelToken>& out) const = 0;

  virtual std::string_view name() const = 0;  // "BPE", ...

  // "model" of a tokenizer.json.
  virtual std::string to_json() const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // The token for unknown text, or Vocabulary::none.
  int32_t unknown() const { return unknown_; }

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
