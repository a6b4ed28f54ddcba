// Copies between the host's memory and the device. The device reads and writes the host's memory by itself only where
// it is pinned, so bytes go by way of such; to the device then without waiting.
#pragma once

#include <cstddef>
#include <mutex>

namespace qkv::cuda {

class StagedCopies {
 public:
  static constexpr size_t piece_bytes = size_t{1} << 20;
  static constexpr int pieces = 4;
  static constexpr int marks = 2 * pieces;  // of copies to the device, and of those back

  // What the device does; each returns at once but wait().
  class Driver {
   public:
    virtual ~Driver() = default;
    virtual void* pinned(size_t bytes) = 0;  // memory of the host, never given back; null: there is none
    virtual void copy(void* to, const void* from, size_t bytes) = 0;
    virtual void fetch(void* to, const void* from, size_t bytes) = 0;  // from the device
    virtual void mark(int which) = 0;                                  // the work that has been given so far
    virtual void wait(int which) = 0;  // until what was marked is done; at once where nothing ever was
  };

  explicit StagedCopies(Driver& driver) : driver_(driver) {}

  // Whether the copy is on its way: `from` may then change. Not for more than a piece, nor without pinned memory.
  bool copy(void* to, const void* from, size_t bytes);

  // Whether the bytes of the device are there, all work before being done: not without pinned memory. While one piece
  // is taken to its place, the next ones come.
  bool read(void* to, const void* from, size_t bytes);

 private:
  // Memory for all pieces, taken at the first use.
  struct Pinned {
    std::mutex mutex;
    char* memory = nullptr;
    bool refused = false;
  };
  bool begin(Pinned& pinned);

  Driver& driver_;
  std::mutex beginning_;
  Pinned up_, down_;
  int piece_ = 0;    // that is being filled,
  size_t used_ = 0;  // so far
};

}  // namespace qkv::cuda
