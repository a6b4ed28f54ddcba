#include "qkv/generate/engine.h"

#include "qkv/core/threads.h"

#include <exception>

namespace qkv {

Engine::Engine(Model& model, const EngineOptions& options, Model* draft)
    : model_(model),
      scheduler_(make_scheduler(model, options, draft)),
      max_waiting_(options.max_waiting),
      prompt_chunk_(options.prompt_chunk),
      busy_chunk_(options.busy_chunk),
      stats_(scheduler_->stats()),
      thread_([this] { loop(); }) {}

Engine::~Engine() { stop(); }

void Engine::stop() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Engine::submit(Request request) {
  scheduler_->check(request);
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || stats_.waiting + std::ssize(inbox_) >= max_waiting_) return false;
    inbox_.push_back(std::move(request));
  }
  changed_.notify_one();
  return true;
}

bool Engine::between_steps(std::function<bool(Model&, int64_t)> piece) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_one();
  return true;
}

void Engine::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void Engine::drain() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  idle_.wait(lock, [this] { return !busy_ && inbox_.empty() && pieces_.empty(); });
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.waiting += std::ssize(inbox_);
  return stats;
}

void Engine::loop() {
  inherit_threads();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || busy_ || woken_ || !inbox_.empty() || !pieces_.empty(); });
    if (stopping_) break;
    woken_ = false;
    busy_ = true;
    std::vector<Request> requests;
    requests.swap(inbox_);
    stats_.waiting += std::ssize(requests);
    std::function<bool(Model&, int64_t)> piece;
    if (!pieces_.empty()) {
      piece = std::move(pieces_.front());
      pieces_.pop_front();
    }
    lock.unlock();
    for (Request& request : requests) scheduler_->submit(std::move(request));
    bool more = false;
    try {
      more = scheduler_->step();
    } catch (const std::exception& error) {
      // Out of memory, most likely: those that ran lose their answers, the engine goes on.
      scheduler_->fail_all(error.what());
    }
    const bool again = piece && piece(model_, more ? busy_chunk_ : prompt_chunk_);
    if (!again) piece = nullptr;  // what it holds must not wait for the next
    lock.lock();
    if (again) pieces_.push_back(std::move(piece));
    stats_ = scheduler_->stats();
    busy_ = more || !pieces_.empty();
    if (!busy_) idle_.notify_all();
  }
  std::vector<Request> late;
  late.swap(inbox_);
  pieces_.clear();  // who waits for one is not to wait for this object's end
  lock.unlock();
  for (Request& request : late) scheduler_->submit(std::move(request));
  scheduler_->fail_all("the engine is closing");
}

}  // namespace qkv
