// The tensors of a model directory, in one safetensors file or in shards with an index, as Hugging Face lays them out.
#pragma once

#include "qkv/io/safetensors.h"

namespace qkv {

class Checkpoint {
 public:
  // Opens DIRECTORY/model.safetensors or, without one, the shards that model.safetensors.index.json lists. Throws
  // Error when there is neither, when a shard is missing or outside the directory, or when the index and the shards
  // disagree. What a shard holds beyond the index is left alone.
  explicit Checkpoint(const fs::path& directory);

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const { return place_.count(name) > 0; }
  // These throw for a name that is not there.
  const Shape& shape(const std::string& name) const { return file_of(name).shape(name); }
  DType dtype(const std::string& name) const { return file_of(name).dtype(name); }
  Tensor get(const std::string& name) const { return file_of(name).get(name); }
  const fs::path& directory() const { return directory_; }

 private:
  void open_shards(const fs::path& index);
  const Safetensors& file_of(const std::string& name) const;

  fs::path directory_;
  std::vector<Safetensors> files_;
  std::map<std::string, size_t> place_;  // name -> file
};

// Writes model.safetensors or, where that would be larger than `max_shard_bytes`, numbered shards and their index. A
// tensor is never split. Interrupted at any moment, the directory holds the old weights or the new ones: shards take
// names that no earlier save uses, the index follows them, and the files of the earlier save go last.
void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors,
                      uint64_t max_shard_bytes = uint64_t{5'000'000'000});

}  // namespace qkv
