// The unigram language model of a tokenizer.json.
#pragma once

#include "qkv/text/token_model.h"
#include "qkv/text/trie.h"

#include <array>
#include <vector>

namespace qkv {

// The segmentation of largest probability. What no piece covers is unknown, in runs; or, with byte_fallback, its bytes.
class Unigram : public TokenModel {
 public:
  explicit Unigram(const JsonCursor& json);
  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override;
  std::string_view name() const override { return "Unigram"; }
  std::string to_json() const override;
  bool unknown_keeps_text() const override { return true; }

 private:
  std::vector<double> written_scores_;  // as the file has them
  std::vector<double> scores_;          // as they are read
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
  std::array<int32_t, 256> byte_ids_{};  // of "<0x..>"
  Trie trie_;
};

}  // namespace qkv
