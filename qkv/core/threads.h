// One pool of threads for the whole program, shared with oneDNN (both run on OpenMP).
#pragma once

#include <algorithm>
#include <cstdint>

namespace qkv {

// How many threads parallel_for uses. The default is the number of processors this process may run on,
// or OMP_NUM_THREADS where that is set.
int threads();
void set_threads(int count);
// For a thread that was started by hand: the libraries it calls use threads() too. OpenMP keeps their count by thread.
void inherit_threads();

namespace detail {
using RangeFunction = void (*)(void* context, int64_t begin, int64_t end);
void parallel_ranges(int64_t parts, int64_t count, RangeFunction function, void* context);
}  // namespace detail

// Calls body(begin, end) on disjoint ranges that cover [0, count). No range is shorter than `grain` unless it
// is the only one, so small work stays on the calling thread. The split depends on count, grain and
// threads() alone: the same thread count gives the same ranges, and so the same sums. Nested calls run serially.
// An exception in the body is rethrown on the calling thread.
template <typename Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  const int64_t parts = std::min<int64_t>(threads(), std::max<int64_t>(1, count / std::max<int64_t>(1, grain)));
  if (parts == 1) {
    body(int64_t{0}, count);
    return;
  }
  detail::parallel_ranges(
      parts, count,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
      },
      &body);
}

}  // namespace qkv
