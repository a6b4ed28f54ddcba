// Files: read whole, map, and write so that a reader never sees half of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace qkv {

namespace fs = std::filesystem;

// The whole file. Throws Error when it cannot be read or is larger than max_bytes.
std::string read_file(const fs::path& path, uint64_t max_bytes = uint64_t{4} << 30);

// Read-only view of a file's bytes, mapped when non-empty. Moves, does not copy.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// A file under construction: written beside its target under a temporary name; commit() flushes, fsyncs and
// renames it over the target, so that the target is either the old file or the whole new one, also after a
// crash. Destroyed without commit(), it removes the temporary file. A full disk or a read-only directory
// throws Error naming the target.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path target);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  fs::path target_;
  fs::path temporary_;
  int descriptor_ = -1;
};

void write_file(const fs::path& path, std::string_view text);  // through AtomicFile

}  // namespace qkv
