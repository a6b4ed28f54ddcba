// Batches for permutation language modelling (Yang et al. 2019, arXiv 1906.08237): some tokens of each text are
// predicted in a random order, each from the rest of the text and from those before it in that order.
#pragma once

#include "qkv/data/masked_batches.h"

namespace qkv {

// Chooses texts and tokens as MaskedBatches does, but leaves the tokens in place: what is predicted is hidden from
// those that must not see it.
class PermutedBatches : public Batches {
 public:
  PermutedBatches(TokenStream stream, MaskedOptions options);
  Batch batch(int64_t n) const override;
  int64_t count() const override { return chosen_.count(); }

 private:
  MaskedBatches chosen_;
  RandomKey key_;
};

}  // namespace qkv
