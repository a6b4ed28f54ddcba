#include "qkv/core/waiting.h"

#include "qkv/core/threads.h"

#ifdef _OPENMP
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
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

// Nanoseconds that the calling thread could have gone on and had no processor (Linux's Documentation/scheduler/
// sched-stats); nothing where the system does not count them.
std::optional<int64_t> waited_for_processors() {
  std::ifstream file("/proc/thread-self/schedstat");
  int64_t ran = 0, waited = 0;
  if (!(file >> ran >> waited)) return {};
  return waited;
}

// Whether the machine is crowded, as the threads that share out work see it.
class Watch {
 public:
  void say(bool crowded, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (crowded) {
      // Each time that it was dismissed too early, it stands longer.
      if (!stand_by_) {
        hold_ = std::min(2 * hold_, longest_hold);
        stand_by_ = std::make_unique<StandBy>();
      }
      crowded_at_ = now;
    } else if (stand_by_ && now - crowded_at_ > hold_) {
      stand_by_.reset();
      dismissed_at_ = now;
    } else if (!stand_by_ && now - dismissed_at_ > hold_) {
      hold_ = shortest_hold;
    }
  }

 private:
  static constexpr milliseconds shortest_hold{250}, longest_hold{30'000};

  std::mutex mutex_;
  Clock::time_point crowded_at_, dismissed_at_;
  milliseconds hold_ = shortest_hold;
  std::unique_ptr<StandBy> stand_by_;
};

// What one thread knows of its own waiting.
struct Look {
  unsigned regions = 0;
  Clock::time_point at = Clock::now();
  int64_t waited = waited_for_processors().value_or(0);
};

bool has_chosen() { return std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr; }

}  // namespace

void watch_processors() {
  // Even asking for the time at every turn would be felt.
  constexpr unsigned regions_between_questions = 32;
  constexpr milliseconds between_looks{100};
  constexpr double crowded_part = 0.1;  // of the time; on idle machines it is one or two hundredths
  thread_local Look last;
  if (++last.regions % regions_between_questions != 0) return;
  const Clock::time_point now = Clock::now();
  if (now - last.at < between_looks) return;
  // With processors to spare, threads that wait take none from those that work.
  static const bool wanted = !has_chosen();
  if (!wanted || threads() < omp_get_num_procs()) return;
  const std::optional<int64_t> waited = waited_for_processors();
  if (!waited) return;
  const double part =
      static_cast<double>(*waited - last.waited) / 1e9 / std::chrono::duration<double>(now - last.at).count();
  last.at = now;
  last.waited = *waited;
  static Watch& watch = *new Watch;  // never destroyed: threads may outlive main's objects
  watch.say(part > crowded_part, now);
}
#else
void watch_processors() {}
#endif

}  // namespace qkv::detail
