// Weights as torch.save writes them (pytorch_model.bin): a pickle that describes tensors as views on storages, and the
// storages' bytes. Since version 1.6 a zip archive ("ROOT/data.pkl", "ROOT/data/0", ...), before it one pickle after
// another with the bytes behind. The pickle is read as data (core/pickle.h): nothing in it runs.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/pickle.h"
#include "qkv/io/stored_type.h"
#include "qkv/io/tensor_file.h"

#include <map>
#include <memory>
#include <unordered_map>

namespace qkv {

class TorchFile : public TensorFile {
 public:
  // Maps the file and reads the pickle; costs nothing for the tensors' bytes. Takes a dictionary of tensors (a
  // state_dict), plain or under "state_dict" or "model"; what else it holds is left alone. Throws Error naming the
  // file, and the tensor where there is one, for whatever does not add up, and for any pickle that would call more than
  // tensors need.
  explicit TorchFile(const fs::path& path);
  // The same from memory; `where` stands for the file in messages. The bytes must outlive this object; its tensors are
  // copies.
  TorchFile(std::string_view bytes, std::string where);

  std::vector<std::string> names() const override;  // in the file's order
  bool contains(const std::string& name) const override { return index_.count(name) > 0; }
  const Shape& shape(const std::string& name) const override { return entry(name).shape; }
  DType dtype(const std::string& name) const override { return read_as(entry(name).type); }
  // A view on the file's pages where it is aligned and needs no conversion, strided where it was saved so. Tensors that
  // shared a storage share the pages. Keeps the mapping alive after this object is gone.
  Tensor get(const std::string& name) const override;

 private:
  struct Entry {
    std::string name;
    StoredType type = StoredType::f32;
    Shape shape, strides;
    const char* data = nullptr;  // its first element
    uint64_t reach = 0;          // elements from the first to the last, both counted
  };
  using Storages = std::map<std::string, std::string_view, std::less<>>;  // key -> bytes

  void parse(std::string_view bytes);
  void parse_zip(std::string_view archive);
  void parse_legacy(std::string_view bytes);
  void read_dictionary(const Pickle::Value& root, const Storages& storages);
  const Entry& entry(const std::string& name) const;

  std::string where_;
  std::shared_ptr<const MappedFile> file_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // name -> entry
};

// Writes a zip file that torch.load reads, with weights_only or without. Through AtomicFile. Throws Error when a name
// is repeated or the disk is full.
void write_torch_file(const fs::path& path, const std::vector<LazyTensor>& tensors, const WriteProgress& progress = {});

}  // namespace qkv
