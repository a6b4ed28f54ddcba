// How well a language model predicts a text: its perplexity, and the probability of each token.
//
//   const qkv::Scorer scorer("models/gpt2");
//   std::cout << scorer.score("To be, or not to be").perplexity() << '\n';
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

struct ScoreOptions {
  // A model that remembers (Transformer-XL, XLNet) reads a text so many tokens at a time, with its memories of those
  // before. 0: as many as it remembers, or 512 where it remembers all.
  int64_t segment = 0;
  // A text longer than the model's positions is read in windows that begin so many tokens apart, and each token is
  // scored once, in the first window that has it: all but the first window's have at least (positions - stride) tokens
  // before them. 0: a longer text is an Error, unless the model remembers. With a stride it does not.
  int64_t stride = 0;
  bool start = false;  // put the beginning-of-text token first, so that the text's first token is scored too
};

struct TextScore {
  std::vector<int32_t> ids;
  std::vector<float> log_probabilities;  // natural, of ids[1], ids[2], ... given those before
  double total() const;                  // their sum
  double perplexity() const;             // exp(-mean)
};

class Scorer {
 public:
  // Throws Error for a checkpoint that is no language model from left to right. XLNet, which reads in any order, reads
  // in this one: each token is asked for from those before it.
  explicit Scorer(const fs::path& directory, TaskOptions options = {}, ScoreOptions score_options = {});

  const TextModel& base() const { return base_; }

  // The ids of a text as score() takes them. Throws Error for fewer than two.
  std::vector<int32_t> ids(std::string_view text) const;

  std::vector<TextScore> score(std::span<const std::vector<int32_t>> texts) const;
  TextScore score(std::string_view text) const;

 private:
  // Whether a text is read in segments, and of how many tokens.
  bool remembers() const;
  int64_t segment() const;
  void score_in_windows(std::span<const std::vector<int32_t>> texts, std::vector<TextScore>& results) const;
  void score_in_segments(std::span<const std::vector<int32_t>> texts, std::vector<TextScore>& results) const;

  TextModel base_;
  ScoreOptions options_;
};

}  // namespace qkv
