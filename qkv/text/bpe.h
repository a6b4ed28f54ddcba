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
  struct Settings {
    bool pieces_are_bytes = false;           // and the vocabulary is in byte-level characters
    bool byte_fallback = false;              // unknown characters become tokens "<0x..>"
    bool fuse_unknown = false;               // neighbours that are unknown are one token
    bool ignore_merges = false;              // a piece that is a token is not cut
    std::optional<std::string> prefix = {};  // before every piece's second and later characters
    std::optional<std::string> suffix = {};  // after every piece's last character
    int32_t unknown = Vocabulary::none;
  };
  // The two tokens of each merge, by rank.
  using MergeTexts = std::vector<std::pair<std::string_view, std::string_view>>;
  // Throws Error, naming `where` and the rank, for a merge of tokens that are not there.
  Bpe(Vocabulary vocabulary, const MergeTexts& merges, const std::string& where, Settings settings);

  // "left right" in two; nothing where it has not one space.
  static std::optional<MergeTexts::value_type> split_merge(std::string_view text);

  // From the "model" of a tokenizer.json, whose merges are "left right" or ["left", "right"].
  static std::unique_ptr<Bpe> parse(const JsonCursor& json, bool pieces_are_bytes);

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
  void add_merges(const MergeTexts& merges, const std::string& where);

  void split_bytes(std::string_view piece, std::vector<ModelToken>& out) const;
  void split_chars(std::string_view piece, std::vector<ModelToken>& out) const;
  bool fall_back_to_bytes(std::string_view text, uint32_t at, std::vector<ModelToken>& out) const;

  const Settings settings_;
  bool every_byte_ = false;              // is a token
  bool plain_bytes_ = false;             // each byte is a symbol of its own, without decoration or unknown token
  std::array<int32_t, 256> byte_ids_{};  // of byte-level characters, or of "<0x..>" for the fallback
  std::vector<Merge> merges_;
  MergeTable table_;
};

}  // namespace qkv
