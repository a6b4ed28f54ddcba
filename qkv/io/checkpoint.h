// The tensors of a model directory, in one safetensors file or in shards with an index.
#pragma once

#include "qkv/io/safetensors.h"

namespace qkv {

class Checkpoint {
 public:
  // Opens DIRECTORY/model.safetensors, or the shards that model.safetensors.index.json lists. Throws Error when there
  // is neither, when a shard is missing or outside the directory, or when the index and the shards disagree.
  explicit Checkpoint(const fs::path& directory);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return place_.count(name) > 0; }
  Tensor get(const std::string& name) const;
  const fs::path& directory() const { return directory_; }

 private:
  fs::path directory_;
  std::vector<Safetensors> files_;
  std::map<std::string, size_t> place_;  // name -> file
};

// Writes model.safetensors, or numbered shards of at most `max_shard_bytes` and their index. Shards of an earlier save
// are removed once the new ones are whole.
void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors,
                      uint64_t max_shard_bytes = uint64_t{5} << 30);

}  // namespace qkv
