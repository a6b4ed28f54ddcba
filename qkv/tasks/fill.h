// Masked tokens: which words fit a gap.
//
//   const qkv::MaskFiller filler("models/bert-base-uncased");
//   const qkv::MaskFillings masks = filler.fill("The capital of France is [MASK].");
//   for (const qkv::Filling& filling : masks[0])
//     std::cout << filling.text << ' ' << filling.score << '\n';
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

struct Filling {
  double score = 0;      // the token's probability at this place, others masked
  int32_t token = 0;     // its id
  std::string text;      // the token alone
  std::string sequence;  // the whole text with it; with several masks, the others and special tokens stay in sight
};

// The likeliest tokens for each mask of a text, in the order of the masks.
using MaskFillings = std::vector<std::vector<Filling>>;

class MaskFiller {
 public:
  // Throws Error for a checkpoint without a masked-language-model head and for a tokenizer without a mask token.
  explicit MaskFiller(const fs::path& directory, TaskOptions options = {});
  explicit MaskFiller(TextModel base);

  const TextModel& base() const { return base_; }
  // A text as fill() takes it. Throws Error when it has no mask, or loses all when it is cut.
  Row row(std::string_view text) const;
  // The id of a word to be scored. Throws Error when it is several tokens.
  int32_t target(std::string_view word) const;

  // For each row. With `targets`, only these tokens compete (their probabilities stay those among all).
  std::vector<MaskFillings> fill(std::span<const Row> rows, int64_t top_k = 5,
                                 std::span<const int32_t> targets = {}) const;
  MaskFillings fill(std::string_view text, int64_t top_k = 5) const;

 private:
  TextModel base_;
};

}  // namespace qkv
