#include "qkv/core/resumable_file.h"

#include "qkv/core/error.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace qkv {
namespace {

fs::path with(const fs::path& path, const char* ending) { return path.string() + ending; }

std::string first_difference(const Json& was, const Json& now) {
  for (const auto& [key, value] : now.items()) {
    const Json before = was.is_object() ? was.value(key, Json()) : Json();
    if (before != value) return fmt::format("{} was {}, not {}", key, before.dump(), value.dump());
  }
  return "";
}

}  // namespace

ResumableFile::ResumableFile(const fs::path& target, Json settings, bool resume)
    : target_(target),
      data_(with(target, ".unfinished")),
      state_(with(target, ".unfinished.json")),
      settings_(std::move(settings)) {
  const bool unfinished = fs::exists(state_) && fs::exists(data_);
  if (unfinished && !resume)
    throw Error(target_.string(), fmt::format("was begun by a run that did not finish: {}", data_.string()),
                "go on with --resume, or remove that file to begin again");
  if (unfinished) {
    const Json state = read_json(state_, uint64_t{1} << 20);
    const auto bytes = state.find("bytes");
    if (!state.is_object() || bytes == state.end() || !bytes->is_number_unsigned() ||
        bytes->get<uint64_t>() > fs::file_size(data_) || !state.contains("position"))
      throw Error(state_.string(), "is damaged", fmt::format("remove it and {} to begin again", data_.string()));
    if (const std::string what = first_difference(state.value("settings", Json()), settings_); !what.empty())
      throw Error(target_.string(), fmt::format("was begun with other options: {}", what),
                  fmt::format("give the same options, or remove {} to begin again", data_.string()));
    bytes_ = bytes->get<int64_t>();
    position_ = state["position"];
  }
  descriptor_ = ::open(data_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(errno);
  if (::ftruncate(descriptor_, bytes_) != 0) fail(errno);
}

ResumableFile::~ResumableFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  std::error_code ignored;
  if (position_.is_null()) fs::remove(data_, ignored);  // nothing in it
}

void ResumableFile::fail(int code) const {
  throw Error(target_.string(), fmt::format("cannot write: {}", std::strerror(code)),
              code == ENOSPC ? "free some disk space, then go on with --resume" : "choose a place you may write to");
}

void ResumableFile::write(std::string_view data, int64_t at) {
  while (!data.empty()) {
    const ssize_t put = ::pwrite(descriptor_, data.data(), data.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail(errno);
    data.remove_prefix(static_cast<size_t>(put));
    at += put;
  }
  if (::fdatasync(descriptor_) != 0) fail(errno);
}

void ResumableFile::save(std::string_view data, Json position) {
  write(data, bytes_);
  bytes_ += static_cast<int64_t>(data.size());
  write_file(state_, Json{{"settings", settings_}, {"bytes", bytes_}, {"position", position}}.dump() + "\n");
  position_ = std::move(position);
}

void ResumableFile::finish(std::string_view beginning) {
  write(beginning, 0);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0 || ::rename(data_.c_str(), target_.c_str()) != 0) fail(errno);
  std::error_code ignored;
  fs::remove(state_, ignored);
}

}  // namespace qkv
