// One thread that does work in order, with a bounded queue: for models that are run batch by batch.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace qkv {

class Worker {
 public:
  explicit Worker(size_t most_waiting);
  ~Worker();  // does what it has, then ends
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // `work` must not throw. false: too much waits already.
  bool run(std::function<void()> work);
  size_t waiting() const;

 private:
  void loop();
  size_t most_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace qkv
