// The tensors of a model directory, as Hugging Face lays them out: safetensors or PyTorch's pickles, in one file or in
// shards with an index.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/tensor_file.h"
#include "qkv/io/weight_files.h"

#include <map>
#include <memory>

namespace qkv {

class Checkpoint {
 public:
  // Opens DIRECTORY/model.safetensors or, without one, the shards that model.safetensors.index.json lists; without
  // either, pytorch_model.bin or its shards, or a TensorFlow checkpoint as its authors released it. Throws Error when
  // there is none of them, when a shard is missing or outside the directory, or when the index and the shards disagree.
  // What a shard holds beyond the index is left alone.
  explicit Checkpoint(const fs::path& directory);

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const { return place_.count(name) > 0; }
  // These throw for a name that is not there.
  const Shape& shape(const std::string& name) const { return file_of(name).shape(name); }
  DType dtype(const std::string& name) const { return file_of(name).dtype(name); }
  Tensor get(const std::string& name) const { return file_of(name).get(name); }
  const fs::path& directory() const { return directory_; }

 private:
  void open_shards(const fs::path& index, WeightFormat format);
  const TensorFile& file_of(const std::string& name) const;

  fs::path directory_;
  std::vector<std::unique_ptr<const TensorFile>> files_;
  std::map<std::string, size_t> place_;  // name -> file
};

struct WriteCheckpoint {
  WeightFormat format = WeightFormat::safetensors;
  uint64_t max_shard_bytes = uint64_t{5'000'000'000};
  WriteProgress progress;
};

// Writes model.safetensors (or pytorch_model.bin) or, where that would be larger than `max_shard_bytes`, numbered
// shards and their index. A tensor is never split; one at a time is in memory. Interrupted at any moment, the directory
// holds the old weights or the new ones: shards take names that no earlier save uses, the index follows them, and the
// files of the earlier save go last. So do weights of a format that readers would prefer to these.
void write_checkpoint(const fs::path& directory, const std::vector<LazyTensor>& tensors,
                      const WriteCheckpoint& how = {});
void write_checkpoint(const fs::path& directory, const std::vector<NamedTensor>& tensors,
                      uint64_t max_shard_bytes = uint64_t{5'000'000'000});

}  // namespace qkv
