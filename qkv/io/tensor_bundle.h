// TensorFlow's checkpoints: PREFIX.index, a sorted table from names to entries, and PREFIX.data-00000-of-00001, the
// tensors' bytes. Format: tensorflow/core/util/tensor_bundle and tensorflow/core/protobuf/tensor_bundle.proto.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/stored_type.h"
#include "qkv/io/tensor_file.h"

#include <memory>
#include <unordered_map>

namespace qkv {

class TensorBundle : public TensorFile {
 public:
  // `index` is PREFIX.index; its data files lie beside it and are mapped. Throws Error naming the file, and the tensor
  // where there is one, for whatever does not add up. Variables of text are left out; those of types that are not
  // numbers here and those stored in slices are refused when they are asked for.
  explicit TensorBundle(const fs::path& index);
  // From memory, for tests: the index and the bytes of one data file, which must outlive this object.
  TensorBundle(std::string_view index, std::string_view data, std::string where);

  std::vector<std::string> names() const override;  // sorted
  bool contains(const std::string& name) const override { return place_.count(name) > 0; }
  const Shape& shape(const std::string& name) const override { return entry(name).shape; }
  DType dtype(const std::string& name) const override { return read_as(entry(name).type); }
  // On the file's pages where it can; its check sum is compared, which reads it all.
  Tensor get(const std::string& name) const override;

 private:
  struct Entry {
    std::string name;
    StoredType type = StoredType::f32;
    Shape shape;
    std::string_view bytes;
    uint32_t check_sum = 0;
    int32_t shard = 0;
  };

  void parse(std::string_view index, const std::function<void(int64_t shards)>& open);
  void read_entry(std::string_view name, std::string_view message);
  const Entry& entry(const std::string& name) const;

  std::string where_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::vector<std::string_view> shards_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> place_;  // name -> entry
};

}  // namespace qkv
