// Byte-pair encoding (Sennrich et al., "Neural machine translation of rare words with subword units", 2016; on bytes:
// Radford et al., "Language models are unsupervised multitask learners", 2019).
#pragma once

#include "qkv/text/merge_table.h"
#include "qkv/text/token_model.h"

#include <array>
#include <optional>

namespace qkv {

class Bpe : public TokenModel {
 public:
  Bpe(const JsonCursor& json, bool pieces_are_bytes);

  // Applies the merge of lowest rank, leftmost first, until none applies.
  void tokenize(std::string_view piece, std::vector<ModelToken>& out) const override;
  std::string_view name() const override { return "BPE"; }
  std::string to_json() const override;
  bool splits_before_marker() const override;

  // In order of rank.
  struct Merge {
    int32_t left;
    int32_t right;
    int32_t joined;
  };
  const std::vector<Merge>& merges() const { return merges_; }

 private:
  void read_merges(const JsonCursor& json);
  void add_merge(std::string_view left, std::string_view right, const JsonCursor& where);

  void split_bytes(std::string_view piece, std::vector<ModelToken>& out) const;
  void split_chars(std::string_view piece, std::vector<ModelToken>& out) const;
  bool fall_back_to_bytes(std::string_view text, uint32_t at, std::vector<ModelToken>& out) const;

  bool bytes_ = false;        // pieces are bytes, the vocabulary is in byte-level characters
  bool plain_bytes_ = false;  // and each byte is a symbol of its own, without decoration or unknown token
  bool byte_fallback_ = false;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  std::optional<std::string> prefix_;    // before every piece's second and later characters
  std::optional<std::string> suffix_;    // after every piece's last character
  std::array<int32_t, 256> byte_ids_{};  // of byte-level characters, or of "<0x..>" for the fallback
  std::vector<Merge> merges_;
  MergeTable table_;
};

}  // namespace qkv
