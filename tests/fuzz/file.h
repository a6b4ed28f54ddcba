// Bytes as files, for readers that take paths: files in memory, with their own names.
#pragma once

#include "qkv/core/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace fuzz {

// A folder of this process in shared memory, made once.
inline const qkv::fs::path& folder() {
  static const qkv::fs::path path = [] {
    const qkv::fs::path base = qkv::fs::exists("/dev/shm") ? "/dev/shm" : qkv::fs::temp_directory_path();
    const qkv::fs::path made = base / ("qkv-fuzz-" + std::to_string(::getpid()));
    qkv::fs::create_directories(made);
    std::atexit([] { qkv::fs::remove_all(folder()); });
    return made;
  }();
  return path;
}

// Written plainly: fsync and rename would be most of the work.
inline qkv::fs::path write(const char* name, std::string_view bytes) {
  const qkv::fs::path path = folder() / name;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
  return path;
}

}  // namespace fuzz
