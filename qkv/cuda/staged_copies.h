// Copies from the host's memory to the device that nobody waits for. The device reads the host's memory by itself only
// where it is pinned, so bytes go there first.
#pragma once

#include <cstddef>
#include <mutex>

namespace qkv::cuda {

class StagedCopies {
 public:
  static constexpr size_t piece_bytes = size_t{1} << 20;
  static constexpr int pieces = 4;

  // What the device does; each returns at once but wait().
  class Driver {
   public:
    virtual ~Driver() = default;
    virtual void* pinned(size_t bytes) = 0;  // memory of the host, never given back; null: there is none
    virtual void copy(void* to, const void* from, size_t bytes) = 0;
    virtual void mark(int piece) = 0;  // the work that has been given so far
    virtual void wait(int piece) = 0;  // until what was marked is done; at once where nothing ever was
  };

  explicit StagedCopies(Driver& driver) : driver_(driver) {}

  // Whether the copy is on its way: `from` may then change. Not for more than a piece, nor without pinned memory.
  bool copy(void* to, const void* from, size_t bytes);

 private:
  bool begin();

  Driver& driver_;
  std::mutex mutex_;
  char* memory_ = nullptr;
  bool refused_ = false;
  int piece_ = 0;    // that is being filled,
  size_t used_ = 0;  // so far
};

}  // namespace qkv::cuda
