#include "qkv/core/files.h"

#include "qkv/core/error.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace qkv {
namespace {

[[noreturn]] void fail(const fs::path& path, std::string_view action, int code) {
  std::string_view hint;
  if (code == ENOENT) hint = "check the spelling of the path";
  if (code == EACCES || code == EROFS || code == EPERM)
    hint = "choose a place you may write to, or fix the permissions";
  if (code == ENOSPC || code == EDQUOT)
    hint = "free some disk space and run the same command again; nothing was overwritten";
  if (code == EFBIG) hint = "raise the limit on the size of files (ulimit -f); nothing was overwritten";
  throw Error(path.string(), fmt::format("cannot {}: {}", action, std::strerror(code)), hint);
}

// An open file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : value_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

uint64_t regular_file_size(const Descriptor& file, const fs::path& path) {
  struct stat status {};
  if (file.get() < 0) fail(path, "open", errno);
  if (::fstat(file.get(), &status) != 0) fail(path, "read", errno);
  if (S_ISDIR(status.st_mode)) fail(path, "read", EISDIR);
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  const Descriptor file(path, O_RDONLY);
  regular_file_size(file, path);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, "read", errno);
    if (got == 0) return text;
    if (text.size() + static_cast<size_t>(got) > max_bytes)
      throw Error(path.string(), fmt::format("is larger than the {} bytes allowed for such a file", max_bytes));
    text.append(buffer, static_cast<size_t>(got));
  }
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file(path, O_RDONLY);
  size_ = regular_file_size(file, path);
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail(path, "map", errno);
  data_ = static_cast<const uint8_t*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  temporary_ = target_;
  temporary_ += fmt::format(".{}.partial", ::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(target_, "create", errno);
  struct stat old {};  // who may read it may read the new one
  if (::stat(target_.c_str(), &old) == 0) ::fchmod(descriptor_, old.st_mode & 0777);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t put = ::write(descriptor_, from, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail(target_, "write", errno);
    from += put;
    size -= static_cast<size_t>(put);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(target_, "write", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0 || ::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary_.c_str());
    fail(target_, "write", code);
  }
  fs::path folder = target_.parent_path();
  if (folder.empty()) folder = ".";
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  if (directory.get() >= 0) ::fsync(directory.get());
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace qkv
