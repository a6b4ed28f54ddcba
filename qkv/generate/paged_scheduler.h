// Continuous batching (Yu et al. 2022, "Orca"): every step is one pass of the model over a row for each sequence that
// writes and a chunk of the prompts that are being read.
#pragma once

#include "qkv/generate/page_pool.h"
#include "qkv/generate/scheduler.h"
#include "qkv/generate/writing_step.h"

namespace qkv {

class PagedScheduler : public Scheduler {
 public:
  PagedScheduler(Model& model, const EngineOptions& options, Model* draft);
  bool step() override;
  void fail_all(const std::string& message) override;

 private:
  struct Sequence {
    std::shared_ptr<Request> request;
    size_t index = 0;
    std::vector<int32_t> ids;     // all that was said
    std::vector<int32_t> window;  // what the model sees of it: all, until the context slides
    std::vector<int32_t> pages;
    int64_t cached = 0;        // positions of the window that the cache holds
    int64_t draft_cached = 0;  // and the draft model's
    int64_t published = 0;     // pages that others can find
    int64_t reserved = 0;      // pages that it may still take
    int64_t limit = 0;         // new tokens at most
    Random random{RandomKey{}};
    std::vector<int32_t> guesses;
    int64_t guessing = 0;  // how many tokens are worth guessing, by how the last guesses went
    bool scores_prompt = false;
    std::vector<ChosenToken> prompt_scores;
    std::vector<std::unique_ptr<Sequence>> siblings;  // of the same request, waiting for the prompt
    std::vector<ChosenToken> chosen;                  // in this step
    const char* failed = nullptr;                     // why

    // The token at a position: guesses stand behind the window.
    int32_t id_at(int64_t position) const {
      const int64_t behind = position - std::ssize(window);
      return behind < 0 ? window[static_cast<size_t>(position)] : guesses[static_cast<size_t>(behind)];
    }
    int64_t left() const { return static_cast<int64_t>(window.size()) - cached; }  // positions to be read
    int64_t generated() const { return std::ssize(ids) - std::ssize(request->prompt); }
  };
  // What a step does for a sequence.
  struct Part {
    Sequence* sequence;
    int64_t rows;        // positions read, guesses included
    int64_t scored = 0;  // how many of them, the last, get logits
    int64_t logits = 0;  // the first of the logits' rows
  };

  void admit();
  bool start(const Group& group);
  bool reserve(int64_t pages);
  int64_t pages_for(int64_t positions) const;
  int64_t most_positions(const Sequence& sequence) const;
  void take_pages(Sequence& sequence, int64_t positions);
  void give_back(Sequence& sequence);
  std::vector<int32_t> pages_shared_by(const Sequence& sequence);
  void shorten(Sequence& sequence) const;
  bool slide(Sequence& sequence);
  void publish(Sequence& sequence);
  void fork(Sequence& sequence);

  std::vector<Part> plan();
  void guess(std::vector<Part>& parts);
  void guess_with_draft(std::vector<Part>& parts);
  void run(std::vector<Part> parts);
  void read_with_draft(const std::vector<Part>& parts);
  Tensor hidden_of(const std::vector<Part>& parts, bool draft);
  Tensor logits_of(const std::vector<Part>& parts, bool draft);
  bool forget_recordings();
  void choose(const Part& part, const Tensor& logits);
  void score_prompt(const Part& part, const Tensor& logits);
  // Tells the listeners; true while the sequence goes on.
  bool tell(Sequence& sequence);
  void drop_cancelled_sequences();

  Model& model_;
  Model* draft_;
  PagePool pool_;
  PagedCache cache_;
  std::unique_ptr<PagedCache> draft_cache_;
  std::unique_ptr<WritingStep> writing_, draft_writing_;  // where the models and the device suit them
  std::vector<std::unique_ptr<Sequence>> running_;
  int64_t reserved_ = 0;  // pages that running sequences may still take
};

}  // namespace qkv
