// The safetensors format: 8 bytes of header length (little endian), a JSON header
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"k": "v"}}
// and the tensors' bytes. Specification: github.com/huggingface/safetensors. A file is believed only after every
// length, offset, shape and dtype in it has been checked against its size.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/tensor_file.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace qkv {

class Safetensors : public TensorFile {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    uint64_t begin = 0, end = 0;  // of its bytes, counted from the end of the header
  };

  // Maps and checks the file; costs the header's size, whatever the tensors'. Throws Error naming the file, and the
  // tensor where there is one.
  explicit Safetensors(const fs::path& path);
  // The same from memory; `where` stands for the file in messages. The bytes must outlive this object; its tensors
  // are copies.
  Safetensors(std::span<const uint8_t> bytes, std::string where);

  std::vector<std::string> names() const override;  // in the header's order
  bool contains(const std::string& name) const override { return index_.count(name) > 0; }
  const Shape& shape(const std::string& name) const override { return entry(name).shape; }
  DType dtype(const std::string& name) const override { return entry(name).dtype; }
  // A tensor keeps the mapping alive after this object is gone.
  Tensor get(const std::string& name) const override;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void parse(std::span<const uint8_t> bytes);
  void check_layout() const;
  const Entry& entry(const std::string& name) const;

  std::string where_;
  std::shared_ptr<const MappedFile> file_;
  std::span<const uint8_t> data_;  // behind the header
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // name -> entry
  std::map<std::string, std::string> metadata_;
};

// Writes the file that the reference library would write, byte for byte: dtypes of wide alignment first, then by name;
// strided tensors made dense; the header padded to 8 bytes. Through AtomicFile. Throws Error when a name is repeated
// or the disk is full.
void write_safetensors(const fs::path& path, const std::vector<LazyTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
                       const WriteProgress& progress = {});
void write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace qkv
