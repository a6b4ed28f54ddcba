// A decoding engine: many requests from any thread, one model, one thread that runs it.
//
//   Engine engine(model, {.max_batch = 16});
//   engine.submit({.prompt = ids, .on_token = ..., .on_finish = ...});
#pragma once

#include "qkv/generate/scheduler.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace qkv {

class Engine {
 public:
  // The models must outlive it, and nobody else run them meanwhile. `draft` may be null: see make_scheduler().
  Engine(Model& model, const EngineOptions& options, Model* draft = nullptr);
  // What runs and waits fails.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Takes a request, and calls its listeners from the engine's thread. Throws Error for a request that makes no sense
  // (Scheduler::check); false: too many wait already, or the engine is closing.
  bool submit(Request request);
  // Other work with the model: `piece` is called from the engine's thread between two steps, again and again until it
  // is false, and must neither throw nor call the engine. It is told how many positions it may read at once, as few as
  // of a prompt while others write. false: the engine is closing.
  bool between_steps(std::function<bool(Model& model, int64_t positions)> piece);
  // A request's `cancelled` was set: do not wait for the next event to see it.
  void wake();
  // Takes no more requests, and returns when those that it has are done.
  void drain();
  // Takes no more requests, and gives up those that it has, which fail.
  void stop();

  EngineStats stats() const;
  int64_t context() const { return scheduler_->context(); }

 private:
  void loop();
  Model& model_;
  std::unique_ptr<Scheduler> scheduler_;
  int64_t max_waiting_, prompt_chunk_, busy_chunk_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // the engine's thread waits for work,
  std::condition_variable idle_;     // and drain() for it to have none
  std::vector<Request> inbox_;
  std::deque<std::function<bool(Model&, int64_t)>> pieces_;  // of other work
  EngineStats stats_;
  bool woken_ = false, closed_ = false, stopping_ = false, busy_ = false;
  std::thread thread_;
};

}  // namespace qkv
