#include "qkv/cuda/emulated/memory.h"

#include "qkv/core/error.h"
#include "qkv/cuda/emulated/recording.h"
#include "qkv/cuda/failure.h"
#include "qkv/cuda/recorded_memory.h"
#include "qkv/cuda/runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace qkv::cuda {
namespace {

constexpr size_t arena_bytes = size_t{1} << 36;  // of addresses; pages are taken when they are written
constexpr size_t step = 4096;                    // a size's blocks are whole pages
constexpr size_t many_pages = size_t{1} << 20;   // not kept when released: protecting all that there are takes time

// Never freed: tensors in static storage may outlive any other static object.
class Arena {
 public:
  Arena() {
    void* memory = ::mmap(nullptr, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw Error("cuda", "no addresses for the emulated device's memory");
    begin_ = static_cast<char*>(memory);
  }

  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const size_t size = rounded(bytes);
    use_.now += size;
    use_.peak = std::max(use_.peak, use_.now);
    const auto found = free_.find(size);
    if (found != free_.end()) {
      void* block = found->second;
      free_.erase(found);
      use_.cached -= size;
      return block;
    }
    if (used_ + size > arena_bytes) throw Error("memory", "the emulated device's memory is full");
    const std::lock_guard entry(entry_);
    void* block = begin_ + used_;
    used_ += size;
    return block;
  }

  void put(void* block, size_t bytes) {
    const std::lock_guard lock(mutex_);
    const size_t size = rounded(bytes);
    use_.now -= size;
    use_.cached += size;
    free_.emplace(size, block);
    if (size >= many_pages) ::madvise(block, size, MADV_DONTNEED);
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

  void open() {
    entry_.lock();
    protect(PROT_READ | PROT_WRITE);
  }
  void close() {
    protect(PROT_NONE);
    entry_.unlock();
  }

 private:
  static size_t rounded(size_t bytes) { return (bytes + step) / step * step; }  // at least one
  void protect(int access) {
    if (used_ > 0 && ::mprotect(begin_, used_, access) != 0) throw Error("cuda", "mprotect failed");
  }

  std::mutex mutex_, entry_;
  char* begin_ = nullptr;
  size_t used_ = 0;
  std::multimap<size_t, void*> free_;
  MemoryUse use_;
};

Arena& arena() {
  static Arena* const instance = new Arena;
  return *instance;
}

}  // namespace

void* allocate_now(size_t bytes) { return arena().take(bytes); }
void release_now(void* memory, size_t bytes) noexcept { arena().put(memory, bytes); }

namespace emulated {

OnDevice::OnDevice() { arena().open(); }
OnDevice::~OnDevice() { arena().close(); }

}  // namespace emulated

const std::vector<DeviceInfo>& devices() {
  static const std::vector<DeviceInfo> one = {{.name = "emulated", .memory = arena_bytes, .major = 9, .minor = 0}};
  return one;
}
std::string why_none() { return ""; }

void use(int) {}
void* allocate_for_both(size_t bytes) { return std::aligned_alloc(256, (bytes + 255) / 256 * 256); }
void release_for_both(void* memory) { std::free(memory); }
MemoryUse memory_use() { return arena().use(); }

// Filled with NaNs, in a replay too: who reads what nobody wrote shall not find zeros.
void* allocate(size_t bytes) {
  RecordedMemory* const recorded = emulated::recorded_memory();
  void* memory = recorded != nullptr ? recorded->take(bytes) : allocate_now(bytes);
  fill_bytes(memory, 0xff, bytes);
  return memory;
}
void release(void* memory, size_t bytes) noexcept {
  if (!RecordedMemory::give_back(memory, bytes)) release_now(memory, bytes);
}

void copy_to_device(void* to, const void* from, size_t bytes) {
  emulated::refuse_to_record(copying_to_device);
  copy_on_device(to, from, bytes);
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  emulated::refuse_to_record(copying_to_host);
  copy_on_device(to, from, bytes);
}
void copy_on_device(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  emulated::do_or_record([=] {
    const emulated::OnDevice here;
    std::memcpy(to, from, bytes);
  });
}
void fill_bytes(void* to, unsigned char value, size_t bytes) {
  if (bytes == 0) return;
  emulated::do_or_record([=] {
    const emulated::OnDevice here;
    std::memset(to, value, bytes);
  });
}
void synchronize() { emulated::refuse_to_record(waiting); }
void* stream() { return nullptr; }
void* open_library(const char*, std::initializer_list<int>, const std::function<bool(void*)>&) { return nullptr; }
void refuse_launch(const char* op, int status, const std::string& call) {
  throw_failure(status, "no such grid", fmt::format("starting {} ({})", op, call), devices()[0]);
}

}  // namespace qkv::cuda
