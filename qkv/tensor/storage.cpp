#include "qkv/tensor/storage.h"

#include "qkv/core/error.h"
#include "qkv/cuda/runtime.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
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

void* from_system(size_t align, size_t bytes) {
  void* block = nullptr;
  return ::posix_memalign(&block, align, bytes) == 0 ? block : nullptr;
}

HostMemory host_memory{.take = from_system, .give_back = std::free};

// Freed blocks by size. Leaked on purpose: tensors in static storage may outlive any other static object.
class Cache {
 public:
  void* take(size_t bytes) {
    const size_t size = block_size(bytes);
    {
      const std::lock_guard lock(mutex_);
      use_.now += size;
      use_.peak = std::max(use_.peak, use_.now);
      // The one freed last: it may be in the processor's cache still, and others may never have been touched.
      if (const auto [begin, end] = free_.equal_range(size); begin != end) {
        const auto found = std::prev(end);
        void* block = found->second;
        free_.erase(found);
        use_.cached -= size;
        return block;
      }
    }
    // Not rounded up to whole huge pages: the last would be there whole, however little of it is used.
    const size_t align = size >= huge_page ? huge_page : alignment;
    void* block = host_memory.take(align, size);
    if (block == nullptr) {
      release();
      block = host_memory.take(align, size);
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
    for (const auto& [size, block] : free_) host_memory.give_back(block);
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

bool on_host(Device device) { return device.type == Device::Type::cpu; }

Cache& cache() {
  static Cache* const instance = new Cache;
  return *instance;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  std::shared_ptr<Storage> storage(new Storage);
  storage->bytes_ = bytes;
  storage->device_ = device;
  if (!no_memory) storage->data_ = on_host(device) ? cache().take(bytes) : cuda::allocate(bytes);
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
  if (owner_ || data_ == nullptr) return;
  if (on_host(device_)) {
    cache().put(data_, bytes_);
  } else {
    cuda::release(data_, bytes_);
  }
}

void Storage::clear() const {
  if (data_ == nullptr) return;
  if (on_host(device_)) {
    std::memset(data_, 0, bytes_);
  } else {
    cuda::fill_bytes(data_, 0, bytes_);
  }
}

std::shared_ptr<Storage> Storage::mirror(Device device) const {
  static std::mutex mutex;  // several threads may read one model's tables
  const std::lock_guard lock(mutex);
  if (!mirror_ || mirror_->device() != device) {
    std::shared_ptr<Storage> copy = allocate(bytes_, device);
    copy_bytes(*this, 0, *copy, 0, bytes_);
    mirror_ = std::move(copy);
  }
  return mirror_;
}

void Storage::renew_mirror() const {
  if (mirror_) copy_bytes(*this, 0, *mirror_, 0, bytes_);
}

void copy_bytes(const Storage& from, size_t from_offset, const Storage& to, size_t to_offset, size_t bytes) {
  if (bytes == 0 || from.data() == nullptr || to.data() == nullptr) return;
  const char* source = static_cast<const char*>(from.data()) + from_offset;
  char* target = static_cast<char*>(to.data()) + to_offset;
  if (on_host(from.device())) {
    if (on_host(to.device())) {
      std::memcpy(target, source, bytes);
    } else {
      cuda::copy_to_device(target, source, bytes);
    }
  } else if (on_host(to.device())) {
    cuda::copy_to_host(target, source, bytes);
  } else {
    cuda::copy_on_device(target, source, bytes);
  }
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

MemoryUse memory_use(Device device) {
  if (on_host(device)) return cache().use();
  const cuda::MemoryUse use = cuda::memory_use();
  return {.now = use.now, .peak = use.peak, .cached = use.cached};
}
void release_cached_memory() { cache().release(); }

void set_host_memory(HostMemory memory) {
  release_cached_memory();
  host_memory = memory;
}

}  // namespace qkv
