// A directory that appears whole or not at all.
#pragma once

#include "qkv/core/error.h"
#include "qkv/core/files.h"

#include <unistd.h>

#include <string>

namespace qkv {

// A directory beside its target, which takes the target's name when all is in it.
class NewDirectory {
 public:
  explicit NewDirectory(const fs::path& target) : target_(plain(target)), temporary_(target_) {
    temporary_ += fmt::format(".{}.partial", ::getpid());
    std::error_code code;
    fs::create_directories(temporary_, code);
    if (code)
      throw Error(target.string(), fmt::format("cannot create: {}", code.message()), "choose a place you may write to");
  }
  NewDirectory(const NewDirectory&) = delete;
  ~NewDirectory() {
    std::error_code code;
    fs::remove_all(temporary_, code);
  }
  const fs::path& path() const { return temporary_; }
  void commit() {
    std::error_code code;
    fs::rename(temporary_, target_, code);  // over an empty directory as well
    if (code) throw Error(target_.string(), fmt::format("cannot create: {}", code.message()));
  }

 private:
  // Without a trailing slash, so that a name can be put beside it.
  static fs::path plain(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

  fs::path target_, temporary_;
};

}  // namespace qkv
