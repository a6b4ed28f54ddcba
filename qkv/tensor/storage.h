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

// A block of memory on a device, aligned to 64 bytes. Freed blocks are kept and handed out again (a training step asks
// for the same sizes every time, and fresh pages from the system cost a fault each). Of a CUDA device's memory the host
// knows the address alone: reading it ends the program.
class Storage {
 public:
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device = {});
  // The memory of a mapped file, kept alive by `owner`. Must not be written.
  static std::shared_ptr<Storage> borrow(const void* data, size_t bytes, std::shared_ptr<const void> owner);

  Storage(const Storage&) = delete;
  ~Storage();

  void clear() const;  // all bytes 0

  // A copy of this memory, which must not change any more, on another device. It is made once and lives as long as
  // this.
  std::shared_ptr<Storage> mirror(Device device) const;
  // Writes what this memory holds now into its copy, if there is one.
  void renew_mirror() const;

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
  mutable std::shared_ptr<Storage> mirror_;
};

// Copies bytes between any two places. From the host to a device, `from` may change once
// this returns; from a device to the host, it waits until they are there.
void copy_bytes(const Storage& from, size_t from_offset, const Storage& to, size_t to_offset, size_t bytes);

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
MemoryUse memory_use(Device device = {});
void release_cached_memory();

// Where the host's memory comes from: the system, unless a program says otherwise before it makes tensors. Those who
// hand the host's tensors to a card's kernels, as their tests do, take memory that both can read.
struct HostMemory {
  void* (*take)(size_t alignment, size_t bytes);  // null: there is no more
  void (*give_back)(void* memory);
};
void set_host_memory(HostMemory memory);

}  // namespace qkv
