// A file that is written over several runs: what a run has saved, a later one continues.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"

namespace qkv {

// While it grows, TARGET.unfinished holds the data and TARGET.unfinished.json how far it is; finish() makes the target
// of it. A crash at any moment loses only what was not yet saved.
class ResumableFile {
 public:
  // `settings` is what the content depends on. Continues an unfinished file if told to `resume`, else starts one.
  // Throws Error when there is an unfinished file that is not to be resumed, and when it was begun with other settings.
  ResumableFile(const fs::path& target, Json settings, bool resume);
  ResumableFile(const ResumableFile&) = delete;
  ResumableFile& operator=(const ResumableFile&) = delete;
  ~ResumableFile();  // what was saved stays

  // What the last save() was given; null for a new file.
  const Json& position() const { return position_; }
  // Adds to the data, then notes that the file stands at `position`.
  void save(std::string_view data, Json position);
  // Replaces the first bytes of the data by `beginning`, if any, and makes the file the target.
  void finish(std::string_view beginning = "");

 private:
  void write(std::string_view data, int64_t at);
  [[noreturn]] void fail(int code) const;

  fs::path target_, data_, state_;
  Json settings_, position_;
  int64_t bytes_ = 0;
  int descriptor_ = -1;
};

}  // namespace qkv
