#include "qkv/io/checkpoint.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/safetensors_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace qkv {
namespace {

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";
constexpr uint64_t max_index = uint64_t{64} << 20;

constexpr const char* convert_hint =
    "pickled weights are not read, as they can run code; convert them where PyTorch is installed: python3 -c \"import "
    "torch; from safetensors.torch import save_file; save_file({k: v.clone().contiguous() for k, v in "
    "torch.load('pytorch_model.bin', weights_only=True).items()}, 'model.safetensors', {'format': 'pt'})\"";
constexpr const char* convert_shards_hint =
    "pickled weights are not read, as they can run code; load them in transformers and call "
    "save_pretrained(DIRECTORY, safe_serialization=True)";

// A shard must be a plain name: one with folders in it could lead anywhere.
bool plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// tensor -> shard
std::map<std::string, std::string> read_index(const fs::path& path) {
  constexpr const char* hint = "the index is damaged: fetch it again";
  const Json index = read_json(path, max_index);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    throw Error(path.string(), "has no \"weight_map\"", hint);
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : index["weight_map"].items()) {
    if (!file.is_string()) throw Error(tensor_place(path.string(), name), "is mapped to no file", hint);
    const std::string shard = file.get<std::string>();
    if (!plain_name(shard))
      throw Error(tensor_place(path.string(), name),
                  fmt::format("is said to be in {}; shards lie beside the index", file.dump().substr(0, 200)), hint);
    map[name] = shard;
  }
  return map;
}

// The files of a checkpoint's weights here, and what an interrupted save left of them.
std::set<std::string> weight_files(const fs::path& directory) {
  std::set<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const bool shard = name.starts_with("model-") && name.ends_with(".safetensors");
    const bool remains = name.starts_with("model") && name.ends_with(".partial");
    if (name == single_name || name == index_name || shard || remains) found.insert(name);
  }
  return found;
}

using Shards = std::vector<std::vector<NamedTensor>>;

uint64_t bytes_of(const Tensor& tensor) { return static_cast<uint64_t>(tensor.numel() * size_of(tensor.dtype())); }

Shards split(const std::vector<NamedTensor>& tensors, uint64_t max_shard_bytes) {
  Shards shards(1);
  uint64_t filled = 0;
  for (const NamedTensor& tensor : tensors) {
    const uint64_t size = bytes_of(tensor.value);
    if (!shards.back().empty() && filled + size > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += size;
  }
  return shards;
}

// "model-00001-of-00003.safetensors" and so on, or "model-2-00001-of-...", if those are taken.
std::vector<std::string> unused_names(const std::set<std::string>& taken, size_t count) {
  for (int attempt = 1;; ++attempt) {
    const std::string infix = attempt == 1 ? "" : fmt::format("{}-", attempt);
    std::vector<std::string> names;
    for (size_t i = 1; i <= count; ++i)
      names.push_back(fmt::format("model-{}{:05}-of-{:05}.safetensors", infix, i, count));
    const auto is_taken = [&](const std::string& name) { return taken.count(name) > 0; };
    if (std::none_of(names.begin(), names.end(), is_taken)) return names;
  }
}

void remove_file(const fs::path& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code) throw Error(path.string(), fmt::format("cannot remove: {}", code.message()), "remove it yourself");
}

void write_shards(const fs::path& directory, const Shards& shards, const std::vector<std::string>& names) {
  Json map = Json::object();
  uint64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    write_safetensors(directory / names[i], shards[i]);
    for (const NamedTensor& tensor : shards[i]) {
      if (map.contains(tensor.name))
        throw Error(tensor_place(directory.string(), tensor.name), "is to be written twice", "", Error::Kind::internal);
      map[tensor.name] = names[i];
      total += bytes_of(tensor.value);
    }
  }
  write_file(directory / index_name, Json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n");
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& directory) : directory_(directory) {
  if (!fs::is_directory(directory))
    throw Error(directory.string(), fs::exists(directory) ? "is not a directory" : "does not exist",
                "name the directory that holds model.safetensors");
  if (fs::exists(directory / single_name)) {
    files_.emplace_back(directory / single_name);
    for (const std::string& name : files_[0].names()) place_[name] = 0;
  } else if (fs::exists(directory / index_name)) {
    open_shards(directory / index_name);
  } else {
    std::string_view hint = "name the directory that holds the weights";
    if (fs::exists(directory / "pytorch_model.bin")) hint = convert_hint;
    if (fs::exists(directory / "pytorch_model.bin.index.json")) hint = convert_shards_hint;
    throw Error(directory.string(), fmt::format("has no {} and no {}", single_name, index_name), hint);
  }
}

void Checkpoint::open_shards(const fs::path& index) {
  const std::map<std::string, std::string> map = read_index(index);
  std::map<std::string, size_t> opened;
  std::vector<std::string> absent;
  for (const auto& [name, shard] : map) opened.emplace(shard, 0);
  for (const auto& [shard, unused] : opened)
    if (!fs::exists(directory_ / shard)) absent.push_back(shard);
  if (!absent.empty())
    throw Error(
        index.string(),
        fmt::format("lists {} of {} shards that are not there: {}", absent.size(), opened.size(),
                    fmt::join(absent.begin(), absent.begin() + std::min<ptrdiff_t>(8, std::ssize(absent)), ", ")),
        "fetch the missing files");
  for (auto& [shard, number] : opened) {
    number = files_.size();
    files_.emplace_back(directory_ / shard);
  }
  for (const auto& [name, shard] : map) {
    if (!files_[opened[shard]].contains(name))
      throw Error(tensor_place(index.string(), name), fmt::format("should be in {}, which does not hold it", shard),
                  "the index and the shards are of different checkpoints: fetch both again");
    place_[name] = opened[shard];
  }
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : place_) names.push_back(name);
  return names;
}

const Safetensors& Checkpoint::file_of(const std::string& name) const {
  const auto found = place_.find(name);
  if (found != place_.end()) return files_[found->second];
  const std::string near = nearest(name, names());
  throw Error(directory_.string(), fmt::format("has no tensor '{}'", name),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors, uint64_t max_shard_bytes) {
  std::error_code code;
  fs::create_directories(directory, code);
  if (code) throw Error(directory.string(), fmt::format("cannot create: {}", code.message()));
  const std::set<std::string> before = weight_files(directory);
  const Shards shards = split(tensors, max_shard_bytes);
  std::set<std::string> now;
  if (shards.size() == 1) {
    write_safetensors(directory / single_name, shards[0]);
    now = {single_name};
  } else {
    const std::vector<std::string> names = unused_names(before, shards.size());
    try {
      write_shards(directory, shards, names);
    } catch (...) {  // a full disk is not left full
      for (const std::string& name : names) fs::remove(directory / name, code);
      throw;
    }
    now = {names.begin(), names.end()};
    now.insert(index_name);
  }
  // A single file outranks an index, so it goes first; from then on the index decides.
  if (now.count(single_name) == 0) remove_file(directory / single_name);
  for (const std::string& name : before)
    if (now.count(name) == 0) remove_file(directory / name);
}

}  // namespace qkv
