// Tokenization as SentencePiece does it (Kudo and Richardson, "SentencePiece: a simple and language independent subword
// tokenizer", 2018): the parts of a tokenizer that come from a .model.
#pragma once

#include "qkv/text/charsmap.h"
#include "qkv/text/decoder.h"
#include "qkv/text/merge_table.h"
#include "qkv/text/normalizer.h"
#include "qkv/text/sentencepiece_file.h"
#include "qkv/text/token_model.h"
#include "qkv/text/trie.h"

#include <array>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace qkv {

// Character map, white space and dummy prefix. A byte of the result stands for the input from where it was made to
// where the next one was, so that white space that goes belongs to the character before it.
class SentencePieceNormalizer : public Normalizer {
 public:
  explicit SentencePieceNormalizer(std::shared_ptr<const SentencePieceFile> file);
  void normalize(AlignedText& text) const override;

 private:
  std::shared_ptr<const SentencePieceFile> file_;
  Charsmap map_;
  Trie user_defined_;  // these pieces pass unchanged
};

// The unigram or BPE model. Unknown characters in a row are one token, or, with byte fallback, their bytes, of which
// the last covers the character and the others nothing.
class SentencePieceModel : public TokenModel {
 public:
  // Ids are the file's; or, with a `vocabulary` (Marian's vocab.json, which two models share), those that the pieces
  // have there, `unknown_name` is the token for those that it lacks, and `control_names` stand for no text.
  explicit SentencePieceModel(std::shared_ptr<const SentencePieceFile> file);
  SentencePieceModel(std::shared_ptr<const SentencePieceFile> file, Vocabulary vocabulary,
                     std::string_view unknown_name, const std::vector<std::string>& control_names);

  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override;
  std::string_view name() const override { return file_->algorithm == SentencePieceFile::bpe ? "BPE" : "Unigram"; }
  bool unknown_keeps_text() const override { return true; }
  bool is_control(int32_t id) const override;
  bool splits_before_marker() const override;

 private:
  void prepare();
  void prepare_bpe();
  void segment_bpe(std::string_view text, std::vector<ModelToken>& out) const;
  void split(std::string_view text, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const;
  void merge_symbols(std::string_view text, uint32_t begin, uint32_t end, std::vector<ModelToken>& out) const;
  bool is_unused(const ModelToken& token) const;
  void resegment(std::string_view text, const ModelToken& token, std::vector<ModelToken>& out) const;

  std::shared_ptr<const SentencePieceFile> file_;
  std::vector<int32_t> outer_ids_;  // of the file's pieces in the shared vocabulary; empty without one
  std::unordered_set<int32_t> control_ids_;
  bool any_unused_ = false;
  std::array<int32_t, 256> byte_ids_{};
  Trie pieces_;        // of the unigram model
  Trie user_defined_;  // of BPE
  float unknown_score_ = 0;
  float largest_score_ = 0;
  std::unordered_map<char32_t, int32_t>
      symbols_;  // of BPE: ids of characters; those that are no pieces follow the file's
  MergeTable merges_;
};

std::unique_ptr<Decoder> sentencepiece_decoder(std::shared_ptr<const SentencePieceFile> file);

}  // namespace qkv
