#include "qkv/io/safetensors.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/safetensors_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace qkv {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little endian");

constexpr uint64_t max_header = 100'000'000;  // the reference library's own limit

struct TypeName {
  std::string_view name;
  int order;  // the reference library writes the highest first
};

TypeName written_as(DType type) {
  switch (type) {
    case DType::boolean:
      return {"BOOL", 0};
    case DType::u8:
      return {"U8", 1};
    case DType::f16:
      return {"F16", 2};
    case DType::bf16:
      return {"BF16", 3};
    case DType::i32:
      return {"I32", 4};
    case DType::f32:
      return {"F32", 5};
    case DType::i64:
      return {"I64", 6};
    default:
      throw Error("safetensors", fmt::format("the format has no {}", name_of(type)), "write GGUF, or f32, bf16 or f16");
  }
}

std::string dumped(const Json& value, const fs::path& path) {
  try {
    return value.dump();
  } catch (const Json::exception&) {
    throw Error(path.string(), "a tensor's name or the metadata is not UTF-8");
  }
}

}  // namespace

Safetensors::Safetensors(const fs::path& path)
    : where_(path.string()), file_(std::make_shared<const MappedFile>(path)) {
  parse(file_->bytes());
}

Safetensors::Safetensors(std::span<const uint8_t> bytes, std::string where) : where_(std::move(where)) { parse(bytes); }

void Safetensors::parse(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  refuse_lfs_pointer(text, where_);
  if (bytes.size() < 8)
    throw Error(where_, fmt::format("is {} bytes long, too short for safetensors", bytes.size()), damaged_hint);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - 8)
    throw Error(where_, fmt::format("says its header is {} bytes long, in a file of {}", length, bytes.size()),
                damaged_hint);
  if (length > max_header)
    throw Error(where_, fmt::format("says its header is {} bytes long; at most {} are allowed", length, max_header),
                damaged_hint);
  data_ = bytes.subspan(8 + length);

  read_safetensors_header(
      text.substr(8, length), where_,
      [this](Entry&& entry) {
        if (!index_.emplace(entry.name, entries_.size()).second)
          throw Error(tensor_place(where_, entry.name), "is in the header twice", damaged_hint);
        entries_.push_back(std::move(entry));
      },
      [this](const std::string& key, std::string&& value) {
        if (!metadata_.emplace(key, std::move(value)).second)
          throw Error(tensor_place(where_, "__metadata__"), fmt::format("has \"{}\" twice", key.substr(0, 40)),
                      damaged_hint);
      });
  check_layout();
}

// Every tensor fills its bytes, and the tensors fill the file: no gap, no overlap, nothing left over.
void Safetensors::check_layout() const {
  std::vector<const Entry*> order;
  for (const Entry& e : entries_) {
    order.push_back(&e);
    const std::string_view name = e.name;
    if (e.begin > e.end || e.end > data_.size())
      throw Error(tensor_place(where_, name),
                  fmt::format("lies at [{}, {}) of {} bytes of data", e.begin, e.end, data_.size()), damaged_hint);
    // Empty dimensions are left out of the product, so that strides cannot overflow either.
    int64_t size = size_of(e.dtype);
    bool overflow = false, empty = false;
    for (const int64_t dimension : e.shape) {
      empty = empty || dimension == 0;
      overflow = overflow || (dimension != 0 && __builtin_mul_overflow(size, dimension, &size));
    }
    if (overflow || (empty ? 0 : static_cast<uint64_t>(size)) != e.end - e.begin)
      throw Error(tensor_place(where_, name),
                  fmt::format("{} {} does not fill {} bytes", name_of(e.dtype), to_string(e.shape), e.end - e.begin),
                  damaged_hint);
  }
  std::sort(order.begin(), order.end(),
            [](const Entry* a, const Entry* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  uint64_t at = 0;
  for (const Entry* e : order) {
    if (e->begin != at)
      throw Error(tensor_place(where_, e->name),
                  fmt::format("begins at byte {} of the data, where {} should: tensors {}", e->begin, at,
                              e->begin < at ? "overlap" : "leave a gap"),
                  damaged_hint);
    at = e->end;
  }
  if (at != data_.size())
    throw Error(where_, fmt::format("{} bytes at the end belong to no tensor", data_.size() - at), damaged_hint);
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const Entry& e : entries_) names.push_back(e.name);
  return names;
}

const Safetensors::Entry& Safetensors::entry(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw_no_tensor(where_, name, names());
  return entries_[found->second];
}

Tensor Safetensors::get(const std::string& name) const {
  const Entry& e = entry(name);
  const uint8_t* data = data_.data() + e.begin;
  const size_t size = e.end - e.begin;
  if (file_ && reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size_of(e.dtype)) == 0)
    return Tensor::wrap(Storage::borrow(data, size, file_), 0, e.shape, e.dtype);
  Tensor tensor = Tensor::empty(e.shape, e.dtype);
  if (size > 0) std::memcpy(tensor.raw(), data, size);
  return tensor;
}

void write_safetensors(const fs::path& path, const std::vector<LazyTensor>& tensors,
                       const std::map<std::string, std::string>& metadata, const WriteProgress& progress) {
  std::vector<const LazyTensor*> order;
  for (const LazyTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const LazyTensor* a, const LazyTensor* b) {
    const int left = written_as(a->dtype).order;
    const int right = written_as(b->dtype).order;
    return left != right ? left > right : a->name < b->name;
  });

  std::unordered_map<std::string_view, int> seen;
  std::string header = "{";
  if (!metadata.empty()) header += "\"__metadata__\":" + dumped(metadata, path);
  uint64_t offset = 0;
  for (const LazyTensor* tensor : order) {
    if (tensor->name == "__metadata__" || ++seen[tensor->name] > 1)
      throw Error(tensor_place(path.string(), tensor->name), "cannot be written: the name is taken", "",
                  Error::Kind::internal);
    const Shape& shape = tensor->shape;
    if (header.size() > 1) header += ',';
    header += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", dumped(tensor->name, path),
                          written_as(tensor->dtype).name, fmt::join(shape.begin(), shape.end(), ","), offset,
                          offset + bytes_of(*tensor));
    offset += bytes_of(*tensor);
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');

  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(header);
  for (const LazyTensor* tensor : order) {
    const Tensor dense = dense_value(*tensor);
    file.write(dense.raw(), bytes_of(*tensor));
    if (progress) progress(bytes_of(*tensor));
  }
  file.commit();
}

void write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, lazily(tensors), metadata);
}

}  // namespace qkv
