// Models that look whole words up.
#pragma once

#include "qkv/text/token_model.h"

namespace qkv {

// WordPiece (Schuster and Nakajima, "Japanese and Korean voice search", 2012, as BERT has it): the longest prefix in
// the vocabulary, then the longest continuation ("##...") and so on; unknown as a whole when that fails.
class WordPiece : public TokenModel {
 public:
  explicit WordPiece(const JsonCursor& json);
  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override;
  std::string_view name() const override { return "WordPiece"; }
  std::string to_json() const override;

 private:
  std::string prefix_;
  int64_t longest_word_;  // characters; longer ones are unknown
};

// A word is a token, or unknown.
class WordLevel : public TokenModel {
 public:
  explicit WordLevel(const JsonCursor& json);
  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override;
  std::string_view name() const override { return "WordLevel"; }
  std::string to_json() const override;

 private:
  std::string unknown_name_;
};

}  // namespace qkv
