#include "qkv/io/tensor_bundle.h"

#include "qkv/io/sorted_table.h"
#include "qkv/text/protobuf.h"

#include <optional>

namespace qkv {
namespace {

constexpr int64_t max_shards = 99999;

// tensorflow/core/framework/types.proto.
constexpr int64_t type_string = 7;
std::optional<StoredType> stored_type(int64_t type) {
  switch (type) {
    case 1:
      return StoredType::f32;
    case 2:
      return StoredType::f64;
    case 3:
      return StoredType::i32;
    case 4:
      return StoredType::u8;
    case 5:
      return StoredType::i16;
    case 6:
      return StoredType::i8;
    case 9:
      return StoredType::i64;
    case 10:
      return StoredType::boolean;
    case 14:
      return StoredType::bf16;
    case 19:
      return StoredType::f16;
    default:
      return std::nullopt;
  }
}

struct Description {
  int64_t type = 0, shard = 0, offset = 0, size = 0;
  std::vector<int64_t> sizes;
  uint32_t check_sum = 0;
  bool sliced = false;
};

std::vector<int64_t> read_shape(std::string_view message, const std::string& place) {
  std::vector<int64_t> sizes;
  ProtobufReader shape(message, place);
  while (shape.next()) {
    if (shape.field() != 2) continue;
    ProtobufReader dimension(shape.bytes(), place);
    int64_t size = 0;
    while (dimension.next())
      if (dimension.field() == 1) size = dimension.integer();
    if (size < 0) throw Error(place, "has a negative size", damaged_hint);
    if (sizes.size() == Shape::max_rank)
      throw Error(place, fmt::format("has more than {} dimensions", Shape::max_rank));
    sizes.push_back(size);
  }
  return sizes;
}

// BundleEntryProto.
Description read_description(std::string_view message, const std::string& place) {
  Description d;
  ProtobufReader reader(message, place);
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        d.type = reader.integer();
        break;
      case 2:
        d.sizes = read_shape(reader.bytes(), place);
        break;
      case 3:
        d.shard = reader.integer();
        break;
      case 4:
        d.offset = reader.integer();
        break;
      case 5:
        d.size = reader.integer();
        break;
      case 6:
        d.check_sum = reader.word();
        break;
      case 7:
        d.sliced = true;
        break;
      default:
        break;
    }
  }
  return d;
}

// BundleHeaderProto: how many data files there are.
int64_t read_header(std::string_view message, const std::string& where) {
  int64_t shards = 0;
  ProtobufReader reader(message, where);
  while (reader.next()) {
    if (reader.field() == 1) shards = reader.integer();
    if (reader.field() == 2 && reader.integer() != 0)
      throw Error(where, "is of a machine of another byte order; only little endian is read");
  }
  if (shards < 1 || shards > max_shards)
    throw Error(where, fmt::format("says it has {} data files", shards), damaged_hint);
  return shards;
}

}  // namespace

TensorBundle::TensorBundle(const fs::path& index) : where_(index.string()) {
  const MappedFile file(index);
  fs::path prefix = index;
  prefix.replace_extension();
  parse(file.text(), [&](int64_t shards) {
    for (int64_t i = 0; i < shards; ++i) {
      fs::path data = prefix;
      data += fmt::format(".data-{:05}-of-{:05}", i, shards);
      if (!fs::exists(data))
        throw Error(index.string(), fmt::format("needs {}, which is not there", data.string()),
                    "fetch the missing file");
      files_.push_back(std::make_shared<const MappedFile>(data));
      shards_.push_back(files_.back()->text());
    }
  });
}

TensorBundle::TensorBundle(std::string_view index, std::string_view data, std::string where)
    : where_(std::move(where)) {
  parse(index, [&](int64_t shards) {
    if (shards != 1) throw Error(where_, "has more than one data file");
    shards_.push_back(data);
  });
}

void TensorBundle::parse(std::string_view index, const std::function<void(int64_t)>& open) {
  refuse_lfs_pointer(index, where_);
  read_sorted_table(index, where_, [&](std::string_view key, std::string_view value) {
    if (key.empty()) {  // sorts before every name
      if (!shards_.empty()) throw Error(where_, "has two headers", damaged_hint);
      return open(read_header(value, where_));
    }
    read_entry(key, value);
  });
  if (entries_.empty()) throw Error(where_, "holds no tensors", damaged_hint);
}

void TensorBundle::read_entry(std::string_view name, std::string_view message) {
  const std::string place = tensor_place(where_, name);
  const Description d = read_description(message, place);
  if (d.type == type_string) return;
  const std::optional<StoredType> type = stored_type(d.type);
  if (!type) throw Error(place, fmt::format("has element type {}, which is not supported", d.type));
  if (d.sliced) throw Error(place, "is stored in slices, which is not supported", "save it as one variable");
  if (d.shard < 0 || d.shard >= std::ssize(shards_))
    throw Error(place, fmt::format("lies in data file {} of {}", d.shard, shards_.size()), damaged_hint);
  const std::string_view data = shards_[static_cast<size_t>(d.shard)];
  // Empty dimensions are left out of the product, so that strides cannot overflow either.
  int64_t bytes = size_of(*type);
  bool overflow = false, empty = false;
  for (const int64_t size : d.sizes) {
    empty = empty || size == 0;
    overflow = overflow || (size != 0 && __builtin_mul_overflow(bytes, size, &bytes));
  }
  if (overflow || d.size != (empty ? 0 : bytes))
    throw Error(place, fmt::format("{} does not fill {} bytes", to_string(Shape(d.sizes)), d.size), damaged_hint);
  if (d.offset < 0 || static_cast<uint64_t>(d.offset) > data.size() ||
      static_cast<uint64_t>(d.size) > data.size() - static_cast<uint64_t>(d.offset))
    throw Error(place, fmt::format("lies at [{}, {} more) of {} bytes of data", d.offset, d.size, data.size()),
                damaged_hint);
  if (!place_.emplace(name, entries_.size()).second) throw Error(place, "is in the index twice", damaged_hint);
  entries_.push_back({std::string(name), *type, Shape(d.sizes),
                      data.substr(static_cast<size_t>(d.offset), static_cast<size_t>(d.size)), d.check_sum,
                      static_cast<int32_t>(d.shard)});
}

std::vector<std::string> TensorBundle::names() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_) names.push_back(e.name);
  return names;
}

const TensorBundle::Entry& TensorBundle::entry(const std::string& name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) throw_no_tensor(where_, name, names());
  return entries_[found->second];
}

Tensor TensorBundle::get(const std::string& name) const {
  const Entry& e = entry(name);
  if (masked_crc32c(e.bytes) != e.check_sum)
    throw Error(tensor_place(where_, name), "does not have its check sum: its bytes have changed", damaged_hint);
  const DType dtype = read_as(e.type);
  const bool aligned = reinterpret_cast<uintptr_t>(e.bytes.data()) % static_cast<uintptr_t>(size_of(dtype)) == 0;
  if (!files_.empty() && !e.bytes.empty() && aligned && size_of(dtype) == size_of(e.type))
    return Tensor::wrap(Storage::borrow(e.bytes.data(), e.bytes.size(), files_[static_cast<size_t>(e.shard)]), 0,
                        e.shape, dtype);
  return converted(e.bytes.data(), e.shape.numel(), e.type).view(e.shape);
}

}  // namespace qkv
