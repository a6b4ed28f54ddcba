// Batches for next-token prediction.
#pragma once

#include "qkv/data/batch.h"
#include "qkv/data/order.h"
#include "qkv/data/token_stream.h"

#include <optional>

namespace qkv {

struct CausalOptions {
  int64_t rows = 1;
  int64_t context = 0;  // tokens a row
  // random: windows begin anywhere, uniformly, as in nanoGPT. shuffled, in_turn: the stream, its documents joined by
  // the end-of-text token, is cut into windows, so that every token but the first is a target exactly once an epoch.
  // The last window is moved back to end with the stream; what it repeats is ignored_label.
  Visit visit = Visit::random;
  int64_t limit = 0;  // in_turn: at most so many batches, spread evenly over the stream; 0: all
  RandomKey key;
};

class CausalBatches : public Batches {
 public:
  // Throws Error when the stream is shorter than a window (context + 1 tokens): says how long it is and what to do.
  CausalBatches(TokenStream stream, CausalOptions options);
  Batch batch(int64_t n) const override;
  int64_t count() const override;

 private:
  TokenStream stream_;
  CausalOptions options_;
  int64_t windows_ = 0;
  std::optional<Order> order_;  // of the windows; none: random
};

}  // namespace qkv
