// Decoding's step, one token a row, recorded once on a GPU and replayed (tensor/replay.h): the host then asks for one
// thing a step, not for every kernel. Recorded anew when the cache's keys outgrow the bound that the kernels were
// started for.
#pragma once

#include "qkv/generate/recorded_scores.h"
#include "qkv/models/model.h"

#include <span>

namespace qkv {

class ReplayedStep {
 public:
  // `context` and its cache, which is of the model's device and keeps its rows, outlive this. For models whose
  // passes_alike() (models/pass_kind.h).
  ReplayedStep(Model& model, const Context& context);

  // The next logits [rows, V] behind a token of each row, as Model::next_logits gives them, good until the next step;
  // the cache has the position then. Undefined, and nothing has happened, where the step is to be done without a
  // replay: the first, which makes what is made once, and all that cannot be recorded.
  Tensor run(std::span<const int32_t> ids, std::span<const int32_t> positions);

 private:
  bool record(int64_t bound);

  Model& model_;
  const Context& context_;
  int64_t rows_;
  RecordedScores
      pass_;           // its numbers: ids and positions of the rows, positions before the step, and behind of each row
  int64_t bound_ = 0;  // of what is recorded; 0: nothing is
  bool first_ = true, possible_ = true;
};

}  // namespace qkv
