#include "qkv/core/threads.h"

#include "qkv/core/waiting.h"

#include <exception>
#include <mutex>

#ifdef _OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif

namespace qkv {
namespace {

thread_local bool inside_parallel = false;

int default_threads() {
#ifdef _OPENMP
  return std::max(1, omp_get_max_threads());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

int thread_count = default_threads();

// The first exception of a parallel region, kept until every range has ended.
class FirstException {
 public:
  template <typename Body>
  void guard(Body&& body) {
    try {
      body();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!exception_) exception_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr exception_;
};

}  // namespace

int threads() { return inside_parallel ? 1 : thread_count; }

void set_threads(int count) {
  thread_count = std::max(1, count);
  inherit_threads();
}

void inherit_threads() {
#ifdef _OPENMP
  omp_set_num_threads(thread_count);
#endif
}

namespace detail {

void parallel_ranges(int64_t parts, int64_t count, RangeFunction function, void* context) {
  watch_processors();
  FirstException failure;
  const auto run = [&](int64_t part) {
    inside_parallel = true;
    failure.guard([&] { function(context, count * part / parts, count * (part + 1) / parts); });
    inside_parallel = false;
  };
#ifdef _OPENMP
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) run(part);
#else
  // Plain threads, for ThreadSanitizer, which does not see OpenMP's barriers.
  std::vector<std::thread> workers;
  for (int64_t part = 1; part < parts; ++part) workers.emplace_back(run, part);
  run(0);
  for (std::thread& worker : workers) worker.join();
#endif
  failure.rethrow();
}

}  // namespace detail
}  // namespace qkv
