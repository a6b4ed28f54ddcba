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
  void string(const std::string& value) {
    number(static_cast<uint64_t>(value.size()));
    text_ += value;
  }
  void single(GgufType type, const Json& value) {
    switch (type) {
      case GgufType::u8:
        return number(value.get<uint8_t>());
      case GgufType::i8:
        return number(value.get<int8_t>());
      case GgufType::u16:
        return number(value.get<uint16_t>());
      case GgufType::i16:
        return number(value.get<int16_t>());
      case GgufType::u32:
        return number(value.get<uint32_t>());
      case GgufType::i32:
        return number(value.get<int32_t>());
      case GgufType::f32:
        return number(value.get<float>());
      case GgufType::boolean:
        return number(static_cast<uint8_t>(value.get<bool>()));
      case GgufType::u64:
        return number(value.get<uint64_t>());
      case GgufType::i64:
        return number(value.get<int64_t>());
      case GgufType::f64:
        return number(value.get<double>());
      default:
        return string(value.get_ref<const std::string&>());
    }
  }
  void value(const GgufValue& v) {
    number(static_cast<uint32_t>(v.type));
    if (v.type != GgufType::array) return single(v.type, v.value);
    number(static_cast<uint32_t>(v.item));
    number(static_cast<uint64_t>(v.value.size()));
    for (const Json& item : v.value) single(v.item, item);
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
