// Threads that read what requests carry: JSON, templates and tokens take too long for the threads that serve sockets.
#pragma once

#include "qkv/generate/fair_queue.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace qkv {

class RequestPool {
 public:
  RequestPool();
  ~RequestPool();  // what has not begun is dropped
  RequestPool(const RequestPool&) = delete;
  RequestPool& operator=(const RequestPool&) = delete;

  // `work` reads a body of so many bytes, and must not throw. Long bodies have a thread of their own, so that short
  // ones do not wait behind them; clients take turns. false: too much waits already.
  bool run(const std::string& client, size_t bytes, std::function<void()> work);

 private:
  class Lane;
  std::unique_ptr<Lane> short_, long_;
};

}  // namespace qkv
