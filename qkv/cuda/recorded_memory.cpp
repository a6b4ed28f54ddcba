#include "qkv/cuda/recorded_memory.h"

#include "qkv/core/notice.h"

#include <atomic>

namespace qkv::cuda {
namespace {

// Who has what is in use. Never freed: tensors in static storage may outlive any other static object.
struct Owners {
  std::mutex mutex;
  std::map<void*, std::shared_ptr<RecordedMemory>> of;
  std::atomic<size_t> count{0};
};
Owners& owners() {
  static Owners* const instance = new Owners;
  return *instance;
}

}  // namespace

void say_why_not_recorded(const std::string& what) {
  notice("cuda", "steps are asked for kernel by kernel, which is slower, because they cannot be recorded: " + what);
}

RecordedMemory::~RecordedMemory() {
  for (const auto& [bytes, memory] : free_) release_(memory, bytes);
}

void* RecordedMemory::take(size_t bytes) {
  Owners& all = owners();
  const std::lock_guard lock(all.mutex);
  void* memory = nullptr;
  if (const auto found = free_.find(bytes); found != free_.end()) {
    memory = found->second;
    free_.erase(found);
  } else {
    memory = allocate_(bytes);
  }
  all.of[memory] = shared_from_this();
  all.count = all.of.size();
  return memory;
}

bool RecordedMemory::give_back(void* memory, size_t bytes) noexcept {
  Owners& all = owners();
  if (all.count == 0) return false;
  std::shared_ptr<RecordedMemory> owner;  // may be the last who knows it: goes after the lock
  const std::lock_guard lock(all.mutex);
  const auto found = all.of.find(memory);
  if (found == all.of.end()) return false;
  owner = std::move(found->second);
  all.of.erase(found);
  all.count = all.of.size();
  owner->free_.emplace(bytes, memory);
  return true;
}

}  // namespace qkv::cuda
