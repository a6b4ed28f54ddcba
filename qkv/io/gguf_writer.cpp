#include "qkv/core/error.h"
#include "qkv/io/gguf.h"

#include <set>

namespace qkv {
namespace {

class Bytes {
 public:
  template <typename T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(const std::string& value) { append_gguf_value(text_, GgufType::string, value); }
  void value(const GgufValue& v) {
    number(static_cast<uint32_t>(v.type));
    if (v.type != GgufType::array) return append_gguf_value(text_, v.type, v.value);
    number(static_cast<uint32_t>(v.list.item));
    number(v.list.size);
    text_ += v.list.bytes;
  }
  void pad(uint64_t alignment) { text_.append((alignment - text_.size() % alignment) % alignment, '\0'); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What the header says of a tensor whose bytes begin at `offset` of the data.
void describe(Bytes& header, const LazyTensor& tensor, uint64_t offset, const fs::path& path) {
  const std::optional<uint32_t> number = gguf_number(tensor.dtype);
  const int rank = tensor.shape.rank();
  if (!number || rank == 0 || rank > 4 || tensor.shape.numel() == 0)
    throw Error(tensor_place(path.string(), tensor.name),
                fmt::format("GGUF has no tensors of {} {}", name_of(tensor.dtype), to_string(tensor.shape)));
  header.string(tensor.name);
  header.number(static_cast<uint32_t>(rank));
  for (int i = rank - 1; i >= 0; --i) header.number(static_cast<uint64_t>(tensor.shape[i]));
  header.number(*number);
  header.number(offset);
}

}  // namespace

void write_gguf(const fs::path& path, const GgufMetadata& metadata, const std::vector<LazyTensor>& tensors,
                const WriteGguf& how) {
  const auto aligned = [&](uint64_t bytes) { return (bytes + how.alignment - 1) / how.alignment * how.alignment; };
  Bytes header;
  for (const char letter : std::string_view("GGUF")) header.number(letter);
  header.number(uint32_t{3});
  header.number(static_cast<uint64_t>(tensors.size()));
  GgufMetadata all = metadata;
  if (how.alignment != 32) all["general.alignment"] = GgufValue::of_u32(how.alignment);
  header.number(static_cast<uint64_t>(all.size()));
  for (const auto& [key, value] : all) {
    header.string(key);
    header.value(value);
  }
  std::set<std::string_view> seen;
  uint64_t offset = 0;
  for (const LazyTensor& tensor : tensors) {
    if (!seen.insert(tensor.name).second)
      throw Error(tensor_place(path.string(), tensor.name), "is to be written twice", "", Error::Kind::internal);
    describe(header, tensor, offset, path);
    offset = aligned(offset + bytes_of(tensor));
  }
  header.pad(how.alignment);
  AtomicFile file(path);
  file.write(header.text());
  for (const LazyTensor& tensor : tensors) {
    const Tensor dense = dense_value(tensor);
    const uint64_t bytes = bytes_of(tensor);
    file.write(dense.raw(), bytes);
    file.write(std::string(aligned(bytes) - bytes, '\0'));
    if (how.progress) how.progress(bytes);
  }
  file.commit();
}

}  // namespace qkv
