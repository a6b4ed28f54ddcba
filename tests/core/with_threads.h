// A count of threads for the length of a test.
#pragma once

#include "qkv/core/threads.h"

namespace qkv {

class WithThreads {
 public:
  explicit WithThreads(int count) { set_threads(count); }
  ~WithThreads() { set_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_ = threads();
};

}  // namespace qkv
