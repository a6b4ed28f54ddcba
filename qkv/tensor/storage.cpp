#include "qkv/tensor/storage.h"

#include "qkv/core/error.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

namespace qkv {
namespace {

constexpr size_t alignment = 64;
constexpr size_t huge_page = size_t{2} << 20;

// Sizes are rounded so that nearly equal requests share blocks: to an eighth of their power of two.
size_t block_size(size_t bytes) {
  if (bytes <= alignment) return alignment;
  size_t power = alignment;
  while (power * 2 < bytes) power *= 2;
  const size_t step = std::max(alignment, power / 8);
  return (bytes + step - 1) / step * step;
}

// Freed blocks by size. Leaked on purpose: tensors in static storage may outlive any other static object.
class Cache {
 public:
  void* take(size_t bytes) {
    const size_t size = block_size(bytes);
    {
      const std::lock_guard lock(mutex_);
      use_.now += size;
      use_.peak = std::max(use_.peak, use_.now);
      const auto found = free_.find(size);
      if (found != free_.end()) {
        void* block = found->second;
        free_.erase(found);
        use_.cached -= size;
        return block;
      }
    }
    // Not rounded up to whole huge pages: the last would be there whole, however little of it is used.
    const size_t align = size >= huge_page ? huge_page : alignment;
    void* block = nullptr;
    if (::posix_memalign(&block, align, size) != 0) {
      release();
      if (::posix_memalign(&block, align, size) != 0) block = nullptr;
    }
    if (block == nullptr) {
      give_up(size);
      throw Error("memory", fmt::format("cannot allocate {:.1f} MiB", static_cast<double>(bytes) / (1 << 20)),
                  "use a smaller batch or context, or activation checkpointing");
    }
    if (align == huge_page) ::madvise(block, size, MADV_HUGEPAGE);
    return block;
  }

  void put(void* block, size_t bytes) {
    const size_t size = block_size(bytes);
    const std::lock_guard lock(mutex_);
    use_.now -= size;
    use_.cached += size;
    free_.emplace(size, block);
  }

  void release() {
    const std::lock_guard lock(mutex_);
    for (const auto& [size, block] : free_) std::free(block);
    free_.clear();
    use_.cached = 0;
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  void give_up(size_t size) {
    const std::lock_guard lock(mutex_);
    use_.now -= size;
  }

  std::mutex mutex_;
  std::multimap<size_t, void*> free_;
  MemoryUse use_;
};

thread_local bool no_memory = false;

Cache& cache() {
  static Cache* const instance = new Cache;
  return *instance;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  if (device.type != Device::Type::cpu) throw Error("memory", "this build has no CUDA support", "use --device cpu");
  std::shared_ptr<Storage> storage(new Storage);
  storage->data_ = no_memory ? nullptr : cache().take(bytes);
  storage->bytes_ = bytes;
  storage->device_ = device;
  return storage;
}

std::shared_ptr<Storage> Storage::borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner) {
  std::shared_ptr<Storage> storage(new Storage);
  storage->data_ = const_cast<void*>(data);
  storage->bytes_ = bytes;
  storage->owner_ = std::move(owner);
  return storage;
}

Storage::~Storage() {
  if (!owner_ && data_ != nullptr) cache().put(data_, bytes_);
}

void Storage::forget(size_t offset, size_t bytes) const {
  if (!owner_) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data_) + offset;
  // Pages that hold something else too: what was read before it has been used, what follows may be wanted next.
  const uintptr_t first = begin / page * page, last = (begin + bytes) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

NoMemory::NoMemory() : before_(no_memory) { no_memory = true; }
NoMemory::~NoMemory() { no_memory = before_; }

MemoryUse memory_use() { return cache().use(); }
void release_cached_memory() { cache().release(); }

}  // namespace qkv
