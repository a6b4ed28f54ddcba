// Batches for masked language modelling, with next-sentence prediction if asked for (BERT, RoBERTa).
#pragma once

#include "qkv/data/batch.h"
#include "qkv/data/masking.h"
#include "qkv/data/order.h"
#include "qkv/data/segments.h"

#include <optional>

namespace qkv {

struct MaskedOptions {
  int64_t rows = 1;
  int64_t length = 0;  // of the longest row, special tokens included
  int32_t cls = 0, sep = 0, pad = 0;
  bool next_sentence = false;     // [CLS] a [SEP] b [SEP] instead of [CLS] a [SEP]
  Visit visit = Visit::shuffled;  // shuffled or in_turn
  int64_t limit = 0;              // in_turn: at most so many batches, spread evenly; 0: all
  Masking masking;
  RandomKey key;
};

// Documents are cut into segments of at most the length; a row holds one segment and never two documents' text.
// Masks are drawn anew each time a segment comes up (RoBERTa's dynamic masking). With next_sentence a segment is cut in
// two at a random place; half the time the second part is replaced by a stretch of another document, label 1. A batch
// is padded to its longest row, rounded up to 8 and at most to `length`.
class MaskedBatches : public Batches {
 public:
  // Throws Error when the stream holds no token, or pairs are asked for and there is one document only.
  MaskedBatches(TokenStream stream, MaskedOptions options);
  Batch batch(int64_t n) const override;
  int64_t count() const override { return order_.batches(options_.rows); }

 private:
  struct Row {
    std::vector<int32_t> ids;
    size_t second = 0;  // where the second segment begins; 0: no pair
    int32_t next_sentence = 0;
  };
  Row row(int64_t item, Random& random) const;

  TokenStream stream_;
  MaskedOptions options_;
  std::optional<Segments> segments_;
  Order order_ = Order::in_turn(0);
};

}  // namespace qkv
