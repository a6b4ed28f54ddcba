// Which requests run, and what each step does for them. One thread; engine.h puts it behind a lock.
#pragma once

#include "qkv/generate/fair_queue.h"
#include "qkv/generate/request.h"
#include "qkv/models/model.h"

#include <memory>
#include <optional>

namespace qkv {

struct EngineOptions {
  DType compute = DType::f32;  // of activations, and of the cache unless
  std::optional<DType> cache;  // this is given (generate/cache_type.h)
  int64_t context = 0;         // positions of a sequence, prompt included; 0 = the model's, at most 4096
  int64_t max_batch = 8;       // sequences that run together
  int64_t max_waiting = 256;   // requests beyond are refused
  int64_t page_size = 64;      // positions
  int64_t pages = 0;           // of the cache; 0 = enough for max_batch full contexts
  int64_t prompt_chunk = 512;  // positions of prompts that a step reads at most,
  int64_t busy_chunk = 64;     // and while other sequences are writing
  bool share_prefixes = true;  // a prompt that begins like an earlier one is not read again so far
  bool deterministic =
      false;           // each sequence runs as if alone: the same bits whatever else runs, at the price of speed
  int64_t drafts = 0;  // tokens guessed ahead at most, by prompt look-up or the draft model; 0 = none
};

// Running totals, for reports.
struct EngineStats {
  int64_t waiting = 0, running = 0;
  int64_t pages = 0, pages_held = 0;
  int64_t requests = 0, cancelled = 0, failed = 0;
  int64_t prompt_tokens = 0, shared_tokens = 0;  // shared ones were not read again
  int64_t generated_tokens = 0;
  int64_t guessed_tokens = 0, accepted_tokens = 0;
  int64_t steps = 0;
  int64_t replays = 0;  // passes of the model that were recorded before (generate/writing_step.h)
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Throws Error for options that make no sense, an empty or unknown prompt, and one that leaves no room. Any thread.
  void check(const Request& request) const;
  void submit(Request request);  // checked
  // Does a little for those that run. false: there is nothing to do.
  virtual bool step() = 0;
  // Ends everything: running and waiting requests fail with the message.
  virtual void fail_all(const std::string& message) = 0;

  const EngineStats& stats() const { return stats_; }
  int64_t context() const { return context_; }

 protected:
  Scheduler(const Spec& spec, const EngineOptions& options);
  struct Waiting {
    std::shared_ptr<Request> request;
    int64_t begun = 0;  // of its continuations: the first ones
  };
  // Continuations that begin together, to share their prompt.
  struct Group {
    std::shared_ptr<Request> request;
    int64_t first = 0, count = 0;
  };
  // Of the request whose turn it is: all, or as many as may run together; then `more` at a time.
  Group next_group(int64_t more);
  void begun(const Group& group);  // the next one's turn
  void finish_waiting(const Waiting& waiting, Finish finish, const std::string& message = "");

  void drop_cancelled();  // of those that wait
  void finish(const Request& request, size_t index, Finish finish, const std::string& message = "");
  void fail_waiting(const std::string& message);
  // New tokens that a request can get: what it asks, or what the context leaves.
  int64_t limit_of(const Request& request) const;

  const Spec& spec_;
  EngineOptions options_;
  int64_t context_;
  EngineStats stats_;
  FairQueue<Waiting> waiting_;
};

// Continuous batching where the model's state is keys and values alone; others (state spaces, moving averages, hashed
// attention, recurrence by segments, encoder-decoders) run one request at a time. A draft model guesses tokens that the
// model then checks together: it must have the same vocabulary.
std::unique_ptr<Scheduler> make_scheduler(Model& model, const EngineOptions& options, Model* draft = nullptr);

// Positions of a sequence: what the options ask for, or the model's, at most 4096. Throws Error for more than the model
// has.
int64_t engine_context(const Spec& spec, const EngineOptions& options);

// Whether make_scheduler() runs several requests together.
bool batches_continuously(const Spec& spec);

}  // namespace qkv
