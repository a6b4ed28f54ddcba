// The device's memory that recorded work (Graph, runtime.h) takes. Kernels of a recording know its addresses, so it
// goes to nobody else as long as the recording, or whoever holds a piece of it, lives.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace qkv::cuda {

// Thrown by what cannot be recorded; Graph::record() catches it.
struct NotRecordable {
  std::string what;  // stood in the way
};

inline constexpr const char* copying_to_device = "the host makes numbers on the way, which the device takes";
inline constexpr const char* copying_to_host = "the host reads numbers of the device on the way";
inline constexpr const char* waiting = "the host waits for the device on the way";

// A notice, since work that is asked for kernel by kernel is slower and nothing else tells.
void say_why_not_recorded(const std::string& what);

class RecordedMemory : public std::enable_shared_from_this<RecordedMemory> {
 public:
  // Where it comes from and goes back to.
  using Allocate = void* (*)(size_t bytes);
  using Release = void (*)(void* memory, size_t bytes) noexcept;
  RecordedMemory(Allocate allocate, Release release) : allocate_(allocate), release_(release) {}
  ~RecordedMemory();
  RecordedMemory(const RecordedMemory&) = delete;
  RecordedMemory& operator=(const RecordedMemory&) = delete;

  // What the recording gave back before goes out again: its work is done in the order of the recording.
  void* take(size_t bytes);

  // Whether the memory is a recording's, which then has it back.
  static bool give_back(void* memory, size_t bytes) noexcept;

 private:
  Allocate allocate_;
  Release release_;
  std::multimap<size_t, void*> free_;
};

}  // namespace qkv::cuda
