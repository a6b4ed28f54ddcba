// A step in which every sequence writes, for the engine on a GPU: one row of each, in kernels that find what changes
// from step to step, ids, positions, page tables and numbers of keys, in memory of a fixed place. So the step is
// recorded and replayed. Rows are filled up to one of a few numbers, and keys to a bound, so that as sequences come, go
// and grow the recordings last.
#pragma once

#include "qkv/generate/recorded_scores.h"
#include "qkv/models/model.h"
#include "qkv/nn/paged_cache.h"

#include <list>
#include <span>

namespace qkv {

class WritingStep {
 public:
  // Whether the model's steps are to be done so.
  static bool suits(const Model& model);

  // `model` and `cache`, whose sequences have at most `context` positions, outlive this.
  WritingStep(Model& model, PagedCache& cache, DType compute, int64_t context);

  // A token at a position of its sequence, which is the last that these pages hold.
  struct Row {
    int32_t id;
    int64_t position;
    std::span<const int32_t> pages;
  };
  // The scores [rows, V] of what follows the tokens, good until the next step; the cache has them then. The same bits
  // whether the step was replayed or not.
  Tensor run(std::span<const Row> rows);

  int64_t replays() const { return replays_; }  // so far

  // Gives back the memory of recordings; none is made any more. Whether there were any.
  bool forget_recordings();

 private:
  // What makes two steps the same work.
  struct Form {
    int64_t rows, bound;
    bool operator==(const Form&) const = default;
  };
  struct Step {
    Step(const Form& of, int64_t numbers) : form(of), pass(numbers) {}
    Form form;
    RecordedScores pass;
    bool begun = false, recorded = false;
  };
  Form form_of(std::span<const Row> rows) const;
  Step& step_of(const Form& form);
  int64_t pages_for(const Form& form) const;
  void write(const Step& step, std::span<const Row> rows) const;
  Tensor scores(const Step& step);

  Model& model_;
  PagedCache& cache_;
  DType compute_;
  int64_t context_;
  std::list<Step> steps_;  // the last used first
  bool possible_ = true;
  int64_t replays_ = 0;
};

}  // namespace qkv
