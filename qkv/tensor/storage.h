// Where tensors live: devices and their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace qkv {

struct Device {
  enum class Type : uint8_t { cpu, cuda };
  Type type = Type::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

// A block of memory on a device, aligned to 64 bytes. Freed blocks of the CPU are kept and handed out again
// (a training step asks for the same sizes every time, and fresh pages from the system cost a fault each).
class Storage {
 public:
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device = {});
  // The memory of a mapped file, kept alive by `owner`. Must not be written.
  static std::shared_ptr<Storage> borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner);

  Storage(const Storage&) = delete;
  ~Storage();

  // Of a mapped file: these bytes are not needed for now, and cost no memory until somebody looks at them again, when
  // they come from the file. Memory of another kind stays as it is.
  void forget(size_t offset, size_t bytes) const;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Storage() = default;
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Device device_;
  std::shared_ptr<const void> owner_;
};

// While one lives, what this thread allocates has a size but no memory: for counting what a model would hold.
class NoMemory {
 public:
  NoMemory();
  ~NoMemory();
  NoMemory(const NoMemory&) = delete;
  NoMemory& operator=(const NoMemory&) = delete;

 private:
  bool before_;
};

struct MemoryUse {
  size_t now = 0;     // bytes in live tensors
  size_t peak = 0;    // the most there ever were
  size_t cached = 0;  // freed, kept for reuse
};
MemoryUse memory_use();
void release_cached_memory();

}  // namespace qkv
