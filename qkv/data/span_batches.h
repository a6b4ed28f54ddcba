// Batches for encoder-decoders that learn to mend a text: some spans are taken out of the source, and the target tells
// them (T5, Raffel et al. 2019, section 3.1.4), or tells the whole text (BART, Lewis et al. 2019, text infilling).
#pragma once

#include "qkv/data/batch.h"
#include "qkv/data/order.h"
#include "qkv/data/segments.h"

namespace qkv {

struct SpanOptions {
  int64_t rows = 1;
  int64_t length = 0;  // of the longest source and target, the end token included
  // What stands in a span's place: a sentinel of its own each, which the target repeats before the span; or, where
  // there are none, `mask`, and the target is the whole text.
  std::vector<int32_t> sentinels;
  int32_t mask = -1;
  int32_t end = 0, pad = 0;
  double share = 0.15;            // of the tokens that are taken out
  double mean_span = 3;           // tokens of a span
  Visit visit = Visit::shuffled;  // shuffled or in_turn
  int64_t limit = 0;              // in_turn: at most so many batches, spread evenly; 0: all
  RandomKey key;
};

// A text and what becomes of it, without end tokens.
struct Corrupted {
  std::vector<int32_t> source, target;
};
// Takes round(share n) of the n tokens, at least one and not all, in spans of about mean_span that never touch; the
// first token always stays.
Corrupted take_spans(std::span<const int32_t> ids, const SpanOptions& options, RandomKey key);

// Documents are cut into segments; a row holds one. Spans are drawn anew each time a segment comes up. A batch is
// padded to its longest row.
class SpanBatches : public Batches {
 public:
  // Throws Error when the stream holds too few tokens for a row.
  SpanBatches(TokenStream stream, SpanOptions options);
  Batch batch(int64_t n) const override;
  int64_t count() const override { return order_.batches(options_.rows); }

 private:
  TokenStream stream_;
  SpanOptions options_;
  Segments segments_;
  Order order_;
};

}  // namespace qkv
