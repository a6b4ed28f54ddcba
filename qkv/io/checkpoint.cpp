#include "qkv/io/checkpoint.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"

#include <set>

namespace qkv {
namespace {

constexpr const char* single_name = "model.safetensors";
constexpr const char* index_name = "model.safetensors.index.json";

std::map<std::string, std::string> read_index(const fs::path& path) {
  const Json index = read_json(path, uint64_t{64} << 20);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    throw Error(path.string(), "has no \"weight_map\"", "fetch the checkpoint again");
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : index["weight_map"].items()) {
    if (!file.is_string()) throw Error(path.string(), fmt::format("\"{}\" names no file", name));
    const fs::path shard = file.get<std::string>();
    if (shard.has_parent_path() || shard.empty() || shard == ".." || shard == ".")
      throw Error(path.string(), fmt::format("\"{}\" is in '{}', outside the directory", name, shard.string()));
    map[name] = shard.string();
  }
  return map;
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& directory) : directory_(directory) {
  const fs::path index = directory / index_name;
  if (fs::exists(directory / single_name)) {
    files_.emplace_back(directory / single_name);
    for (const std::string& name : files_[0].names()) place_[name] = 0;
    return;
  }
  if (!fs::exists(index)) {
    const bool pickled =
        fs::exists(directory / "pytorch_model.bin") || fs::exists(directory / "pytorch_model.bin.index.json");
    throw Error(directory.string(), fmt::format("has no {}", single_name),
                pickled ? "pytorch_model.bin is not read yet: load it in transformers and call save_pretrained(..., "
                          "safe_serialization=True)"
                        : "name the directory that holds the weights");
  }
  std::map<std::string, size_t> opened;
  for (const auto& [name, shard] : read_index(index)) {
    if (opened.count(shard) == 0) {
      if (!fs::exists(directory / shard))
        throw Error(index.string(), fmt::format("lists '{}', which is not there", shard), "fetch the missing shard");
      opened[shard] = files_.size();
      files_.emplace_back(directory / shard);
    }
    if (!files_[opened[shard]].contains(name))
      throw Error(index.string(), fmt::format("says '{}' is in '{}', which does not hold it", name, shard));
    place_[name] = opened[shard];
  }
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : place_) names.push_back(name);
  return names;
}

Tensor Checkpoint::get(const std::string& name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) throw Error(directory_.string(), fmt::format("has no tensor '{}'", name));
  return files_[found->second].get(name);
}

void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors, uint64_t max_shard_bytes) {
  std::vector<std::vector<NamedTensor>> shards(1);
  uint64_t filled = 0;
  uint64_t total = 0;
  for (const NamedTensor& tensor : tensors) {
    const uint64_t size = static_cast<uint64_t>(tensor.value.numel() * size_of(tensor.value.dtype()));
    if (!shards.back().empty() && filled + size > max_shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(tensor);
    filled += size;
    total += size;
  }
  std::set<std::string> written;
  if (shards.size() == 1) {
    write_safetensors(directory / single_name, shards[0]);
    written.insert(single_name);
  } else {
    Json map = Json::object();
    for (size_t i = 0; i < shards.size(); ++i) {
      const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
      write_safetensors(directory / name, shards[i]);
      written.insert(name);
      for (const NamedTensor& tensor : shards[i]) map[tensor.name] = name;
    }
    write_file(directory / index_name, Json{{"metadata", {{"total_size", total}}}, {"weight_map", map}}.dump(2) + "\n");
    written.insert(index_name);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const bool ours =
        name == single_name || name == index_name || (name.starts_with("model-") && name.ends_with(".safetensors"));
    if (ours && written.count(name) == 0) fs::remove(entry.path());
  }
}

}  // namespace qkv
