#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/safetensors.h"
#include "qkv/io/torch_file.h"

#include <algorithm>
#include <set>

namespace qkv {
namespace {

using Shards = std::vector<std::vector<LazyTensor>>;

Shards split(const std::vector<LazyTensor>& tensors, uint64_t max_shard_bytes) {
  Shards shards(1);
  uint64_t filled = 0;
  for (const LazyTensor& tensor : tensors) {
    const uint64_t size = bytes_of(tensor);
    if (!shards.back().empty() && filled + size > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += size;
  }
  return shards;
}

const WeightFiles& files_of(WeightFormat format) {
  return *std::find_if(weight_files.begin(), weight_files.end(),
                       [format](const WeightFiles& files) { return files.format == format; });
}

// The files of earlier saves that must not outlive this one, in the order in which they are to go: a single file
// outranks an index, and both stand before the shards they list.
std::vector<std::string> earlier_files(const fs::path& directory, WeightFormat format) {
  std::set<std::string> present;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    present.insert(entry.path().filename().string());
  std::vector<std::string> found;
  for (const WeightFiles& files : weight_files) {
    for (const std::string& name : {files.single(), files.index()})
      if (present.count(name) > 0) found.push_back(name);
    for (const std::string& name : present)
      if (files.is_part(name)) found.push_back(name);
    if (files.format == format) break;  // readers look for the rest only after these
  }
  return found;
}

// "model-00001-of-00003.safetensors" and so on, or "model-2-00001-of-...", if those are taken.
std::vector<std::string> unused_names(const WeightFiles& files, const std::vector<std::string>& taken, size_t count) {
  for (int attempt = 1;; ++attempt) {
    const std::string infix = attempt == 1 ? "" : fmt::format("{}-", attempt);
    std::vector<std::string> names;
    for (size_t i = 1; i <= count; ++i)
      names.push_back(fmt::format("{}-{}{:05}-of-{:05}{}", files.stem, infix, i, count, files.suffix));
    const auto is_taken = [&](const std::string& name) {
      return std::find(taken.begin(), taken.end(), name) != taken.end();
    };
    if (std::none_of(names.begin(), names.end(), is_taken)) return names;
  }
}

void remove_file(const fs::path& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code) throw Error(path.string(), fmt::format("cannot remove: {}", code.message()), "remove it yourself");
}

void write_one(const fs::path& path, const std::vector<LazyTensor>& tensors, const WriteCheckpoint& how) {
  if (how.format == WeightFormat::torch) {
    write_torch_file(path, tensors, how.progress);
  } else {
    write_safetensors(path, tensors, {{"format", "pt"}}, how.progress);
  }
}

void write_shards(const fs::path& directory, const Shards& shards, const std::vector<std::string>& names,
                  const std::string& index, const WriteCheckpoint& how) {
  Json map = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    write_one(directory / names[i], shards[i], how);
    for (const LazyTensor& tensor : shards[i]) {
      if (map.contains(tensor.name))
        throw Error(tensor_place(directory.string(), tensor.name), "is to be written twice", "", Error::Kind::internal);
      map[tensor.name] = names[i];
      total += bytes_of(tensor);
    }
  }
  write_file(directory / index, Json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n");
}

}  // namespace

void write_checkpoint(const fs::path& directory, const std::vector<LazyTensor>& tensors, const WriteCheckpoint& how) {
  std::error_code code;
  fs::create_directories(directory, code);
  if (code) throw Error(directory.string(), fmt::format("cannot create: {}", code.message()));
  const WeightFiles& files = files_of(how.format);
  const std::vector<std::string> before = earlier_files(directory, how.format);
  const Shards shards = split(tensors, how.max_shard_bytes);
  std::set<std::string> now;
  if (shards.size() == 1) {
    write_one(directory / files.single(), shards[0], how);
    now = {files.single()};
  } else {
    const std::vector<std::string> names = unused_names(files, before, shards.size());
    try {
      write_shards(directory, shards, names, files.index(), how);
    } catch (...) {  // a full disk is not left full
      for (const std::string& name : names) fs::remove(directory / name, code);
      throw;
    }
    now = {names.begin(), names.end()};
    now.insert(files.index());
  }
  for (const std::string& name : before)
    if (now.count(name) == 0) remove_file(directory / name);
}

void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors, uint64_t max_shard_bytes) {
  write_checkpoint(directory, lazily(tensors), {.max_shard_bytes = max_shard_bytes, .progress = {}});
}

}  // namespace qkv
