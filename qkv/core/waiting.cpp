#include "qkv/core/waiting.h"

#include "qkv/core/threads.h"

#ifdef _OPENMP
#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#endif

namespace qkv::detail {

#ifdef _OPENMP
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Two OpenMP threads with nothing to do. libgomp's threads wait only briefly while there are more of them than
// processors.
class StandBy {
 public:
  StandBy() : thread_([this] { stand(); }) {}
  ~StandBy() {
    {
      const std::lock_guard lock(mutex_);
      dismissed_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void stand() {
#pragma omp parallel num_threads(2)
    ++standing_;  // a region without any work would be left out
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return dismissed_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool dismissed_ = false;
  std::atomic<int> standing_ = 0;
  std::thread thread_;
};

// How often processors were taken from a thread that could have gone on.
int64_t taken_away() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

class Watch {
 public:
  void look() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    const Clock::time_point now = Clock::now();
    if (now - last_ < period) return;
    const int64_t taken = taken_away();
    // A few times a second it happens on idle machines too.
    constexpr double often = 60;
    const bool crowded = static_cast<double>(taken - taken_before_) >
                         often * std::chrono::duration<double>(now - last_).count();
    taken_before_ = taken;
    last_ = now;
    if (crowded) {
      // Each time that it was dismissed too early, it stands longer.
      if (!stand_by_) hold_ = std::min(2 * hold_, longest_hold);
      if (!stand_by_) stand_by_ = std::make_unique<StandBy>();
      crowded_at_ = now;
    } else if (stand_by_ && now - crowded_at_ > hold_) {
      stand_by_.reset();
      dismissed_at_ = now;
    } else if (!stand_by_ && now - dismissed_at_ > hold_) {
      hold_ = shortest_hold;
    }
  }

 private:
  static constexpr milliseconds period{100}, shortest_hold{250}, longest_hold{30'000};

  std::mutex mutex_;
  Clock::time_point last_ = Clock::now(), crowded_at_, dismissed_at_;
  int64_t taken_before_ = taken_away();
  milliseconds hold_ = shortest_hold;
  std::unique_ptr<StandBy> stand_by_;
};

bool has_chosen() { return std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr; }

}  // namespace

void watch_processors() {
  // A look costs a system call, and asking for the time is not free either.
  constexpr unsigned regions_between_looks = 32;
  thread_local unsigned regions = 0;
  if (++regions % regions_between_looks != 0) return;
  // With processors to spare, threads that wait take none from those that work.
  static const bool wanted = !has_chosen();
  if (!wanted || threads() < omp_get_num_procs()) return;
  static Watch& watch = *new Watch;  // never destroyed: threads may outlive main's objects
  watch.look();
}
#else
void watch_processors() {}
#endif

}  // namespace qkv::detail
