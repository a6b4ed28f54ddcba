// GGUF files (github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3: "GGUF", a version, counts, metadata of typed
// values by name, the tensors' names, shapes, types and places, and behind padding their bytes. A file is believed only
// after every count, length, type and place in it has been checked against its size.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/gguf_value.h"
#include "qkv/io/tensor_file.h"

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace qkv {

class Gguf : public TensorFile {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;                  // outermost first: the reverse of the file's order
    uint64_t begin = 0, end = 0;  // of its bytes, counted from the start of the data
  };

  // Maps and checks the file, or that of a directory; costs the header's size, whatever the tensors'. Throws Error
  // naming the file, and the tensor or the key where there is one.
  explicit Gguf(const fs::path& path);
  // The same from memory; `where` stands for the file in messages. The bytes must outlive this object; its tensors are
  // copies.
  Gguf(std::span<const uint8_t> bytes, std::string where);

  std::vector<std::string> names() const override;  // in the file's order
  bool contains(const std::string& name) const override { return index_.count(name) > 0; }
  const Shape& shape(const std::string& name) const override { return entry(name).shape; }
  DType dtype(const std::string& name) const override { return entry(name).dtype; }
  Tensor get(const std::string& name) const override;

  const GgufMetadata& metadata() const { return metadata_; }
  const std::string& where() const { return where_; }

 private:
  void parse(std::span<const uint8_t> bytes);
  void check_places(uint64_t alignment) const;
  const Entry& entry(const std::string& name) const;

  std::string where_;
  std::shared_ptr<const MappedFile> file_;  // none when read from memory
  std::span<const uint8_t> data_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
  GgufMetadata metadata_;
};

// The same file, opened by others and not yet closed, is not read again: of large vocabularies that takes its time.
std::shared_ptr<const Gguf> open_gguf(const fs::path& path);

// The GGUF file that a path names: itself, by its ending or its first bytes, or the only one in a directory that has no
// weights of another kind. Nothing for other paths.
std::optional<fs::path> gguf_file(const fs::path& path);
inline bool is_gguf(const fs::path& path) { return gguf_file(path).has_value(); }

struct WriteGguf {
  uint64_t alignment = 32;
  WriteProgress progress;
};

// Writes the file under a temporary name and renames it; one tensor at a time is in memory. Throws Error for a name
// that is there twice and for a type or shape that the format does not have.
void write_gguf(const fs::path& path, const GgufMetadata& metadata, const std::vector<LazyTensor>& tensors,
                const WriteGguf& how = {});

}  // namespace qkv
