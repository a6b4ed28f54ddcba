#include "qkv/io/checkpoint.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/safetensors.h"
#include "qkv/io/tensorflow_checkpoint.h"
#include "qkv/io/torch_file.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace qkv {
namespace {

constexpr uint64_t max_index = uint64_t{64} << 20;

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

std::unique_ptr<const TensorFile> open(const fs::path& path, WeightFormat format) {
  if (format == WeightFormat::torch) return std::make_unique<TorchFile>(path);
  return std::make_unique<Safetensors>(path);
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& directory) : directory_(directory) {
  if (!fs::is_directory(directory))
    throw Error(directory.string(), fs::exists(directory) ? "is not a directory" : "does not exist",
                "name the directory that holds model.safetensors");
  for (const WeightFiles& files : weight_files) {
    if (fs::exists(directory / files.single())) {
      files_.push_back(open(directory / files.single(), files.format));
      for (const std::string& name : files_[0]->names()) place_[name] = 0;
      return;
    }
    if (fs::exists(directory / files.index())) {
      open_shards(directory / files.index(), files.format);
      return;
    }
  }
  if (const fs::path index = find_tensorflow_index(directory); !index.empty()) {
    files_.push_back(open_tensorflow(index));
    for (const std::string& name : files_[0]->names()) place_[name] = 0;
    return;
  }
  std::string_view hint = "name the directory that holds the weights";
  for (const char* other : {"tf_model.h5", "flax_model.msgpack", "rust_model.ot"})
    if (fs::exists(directory / other))
      hint = "load it in transformers and save it as safetensors: save_pretrained(DIR)";
  throw Error(directory.string(), "has no model.safetensors, no pytorch_model.bin, and no index of shards of either",
              hint);
}

void Checkpoint::open_shards(const fs::path& index, WeightFormat format) {
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
    files_.push_back(open(directory_ / shard, format));
  }
  for (const auto& [name, shard] : map) {
    if (!files_[opened[shard]]->contains(name))
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

const TensorFile& Checkpoint::file_of(const std::string& name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) throw_no_tensor(directory_.string(), name, names());
  return *files_[found->second];
}

}  // namespace qkv
