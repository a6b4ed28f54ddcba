#include "qkv/io/gguf.h"

#include "qkv/core/byte_reader.h"
#include "qkv/core/error.h"
#include "qkv/io/weight_files.h"
#include "qkv/text/unicode.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <mutex>

namespace qkv {
namespace {

constexpr std::string_view gguf_magic = "GGUF";
constexpr uint64_t max_name = 1 << 16;
constexpr uint64_t max_items = 1 << 24;  // of an array: vocabularies have a hundredth of it
constexpr uint64_t max_dimensions = 4;

// The fewest bytes that a value, an item of an array, or what is said of a tensor takes: counts are held against it.
constexpr uint64_t least_entry = 8 + 1 + 4 + 1;
constexpr uint64_t least_tensor = 8 + 1 + 4 + 4 + 8;

uint64_t least_item(GgufType type) {
  constexpr uint64_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
  return sizes[static_cast<size_t>(type)];
}

// Texts are UTF-8 by the format, and much here puts them into JSON, which has nothing else. `what` stands before "is".
void require_text(std::string_view text, const std::string& place, std::string_view what) {
  if (const size_t at = invalid_utf8(text); at != std::string_view::npos)
    throw Error(place,
                fmt::format("{}is not valid UTF-8: byte 0x{:02x} at position {}", what,
                            static_cast<unsigned char>(text[at]), at),
                "the file is damaged, or was made in another encoding: fetch it again, or convert the model again");
}

class Header {
 public:
  Header(std::string_view bytes, const std::string& where)
      : bytes_(bytes), reader_(bytes, where, "the header"), where_(where) {}

  ByteReader& reader() { return reader_; }

  // A number of things of at least `each` bytes, which must fit what is left.
  uint64_t count(std::string_view what, uint64_t each) {
    const uint64_t number = reader_.u64();
    if (number > reader_.left() / each)
      throw Error(where_, fmt::format("says that it has {} {} in {} bytes", number, what, reader_.left()),
                  damaged_hint);
    return number;
  }

  std::string name(std::string_view what) {
    const uint64_t length = reader_.u64();
    if (length == 0 || length > max_name)
      throw Error(where_, fmt::format("has a {} of {} bytes", what, length), damaged_hint);
    std::string text(reader_.take(length));
    if (text.find('\0') != std::string::npos)
      throw Error(where_, fmt::format("has a {} with a zero byte in it", what), damaged_hint);
    require_text(text, where_, fmt::format("a {} ", what));
    return text;
  }

  GgufType type(const std::string& key) {
    const uint32_t number = reader_.u32();
    if (number > static_cast<uint32_t>(GgufType::f64))
      throw Error(tensor_place(where_, key), fmt::format("has a value of unknown type {}", number), damaged_hint);
    return static_cast<GgufType>(number);
  }

  GgufValue value(const std::string& key) {
    const GgufType kind = type(key);
    if (kind == GgufType::array) return {kind, {}, list(key)};
    const std::string place = tensor_place(where_, key);
    Json value = read_gguf_value(reader_, kind, place);
    if (kind == GgufType::string) require_text(value.get_ref<const std::string&>(), place, "");
    return {kind, std::move(value), {}};
  }

 private:
  GgufList list(const std::string& key) {
    const GgufType item = type(key);
    if (item == GgufType::array)
      throw Error(tensor_place(where_, key), "is a list of lists, which nothing here needs", damaged_hint);
    const uint64_t items = count("items in a list", least_item(item));
    if (items > max_items)
      throw Error(tensor_place(where_, key),
                  fmt::format("is a list of {} items; at most {} are read", items, max_items));
    const size_t begin = reader_.position();
    if (item != GgufType::string) {
      const std::string_view bytes = reader_.take(items * least_item(item));
      if (item == GgufType::boolean && std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0 && c != 1; }))
        throw Error(tensor_place(where_, key), "has a value that is neither true nor false", damaged_hint);
      return {item, items, std::string(bytes)};
    }
    const std::string place = tensor_place(where_, key);
    for (uint64_t i = 0; i < items; ++i) require_text(reader_.take(reader_.u64()), place, "one of its texts ");
    return {item, items, std::string(bytes_.substr(begin, reader_.position() - begin))};
  }

  std::string_view bytes_;
  ByteReader reader_;
  std::string where_;
};

// A tensor's shape, its dimensions put in our order, and its size in bytes.
uint64_t read_shape(Header& header, const std::string& place, Gguf::Entry& entry) {
  const uint32_t rank = header.reader().u32();
  if (rank == 0 || rank > max_dimensions)
    throw Error(place, fmt::format("has {} dimensions; 1 to {} are possible", rank, max_dimensions), damaged_hint);
  std::vector<int64_t> sizes;
  for (uint32_t i = 0; i < rank; ++i) {
    const uint64_t size = header.reader().u64();
    if (size == 0 || size > uint64_t{1} << 48)
      throw Error(place, fmt::format("has a dimension of {}", size), damaged_hint);
    sizes.insert(sizes.begin(), static_cast<int64_t>(size));
  }
  const uint32_t number = header.reader().u32();
  const std::optional<DType> dtype = gguf_dtype(number);
  if (!dtype)
    throw Error(place, fmt::format("has a type (ggml's {}) that is not supported", number),
                "use a file of f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k to q6_k or iq4_nl");
  entry.dtype = *dtype;
  entry.shape = Shape(sizes);
  if (sizes.back() % block_length(*dtype) != 0)
    throw Error(place, fmt::format("has rows of {}, no whole number of {} blocks", sizes.back(), name_of(*dtype)),
                damaged_hint);
  try {
    return static_cast<uint64_t>(bytes_of(*dtype, entry.shape.numel()));
  } catch (const Error&) {
    throw Error(place, to_string(entry.shape) + " is too large", damaged_hint);
  }
}

uint64_t alignment_of(const GgufMetadata& metadata, const std::string& where) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return 32;
  const Json& value = found->second.value;
  if (!value.is_number_unsigned() || !std::has_single_bit(value.get<uint64_t>()) || value.get<uint64_t>() > 1 << 20)
    throw Error(tensor_place(where, "general.alignment"), fmt::format("is {}, no power of two", value.dump()),
                damaged_hint);
  return value.get<uint64_t>();
}

std::optional<fs::path> only_file_in(const fs::path& directory) {
  for (const WeightFiles& files : weight_files)
    if (fs::exists(directory / files.single()) || fs::exists(directory / files.index())) return {};
  std::optional<fs::path> found;
  std::error_code unreadable;  // is told of by whoever reads it
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, unreadable)) {
    if (entry.path().extension() != ".gguf" || !entry.is_regular_file()) continue;
    if (found) return {};
    found = entry.path();
  }
  return found;
}

}  // namespace

std::optional<fs::path> gguf_file(const fs::path& path) {
  if (fs::is_directory(path)) return only_file_in(path);
  if (!fs::is_regular_file(path)) return {};
  if (path.extension() == ".gguf") return path;
  char bytes[4] = {};
  std::ifstream(path, std::ios::binary).read(bytes, sizeof bytes);
  return std::string_view(bytes, sizeof bytes) == gguf_magic ? std::optional(path) : std::nullopt;
}

Gguf::Gguf(const fs::path& path) {
  const fs::path file = gguf_file(path).value_or(path);
  where_ = file.string();
  file_ = std::make_shared<const MappedFile>(file);
  parse(file_->bytes());
}

std::shared_ptr<const Gguf> open_gguf(const fs::path& path) {
  // What is another one when a file is written anew, at once and to the same size too.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    int64_t seconds = 0, nanoseconds = 0;
    bool operator==(const Identity&) const = default;
  };
  struct Opened {
    fs::path file;
    Identity identity;
    std::weak_ptr<const Gguf> gguf;
  };
  static std::mutex mutex;
  static Opened last;
  const std::lock_guard lock(mutex);
  const fs::path file = gguf_file(path).value_or(path);
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return std::make_shared<const Gguf>(file);  // which tells what is wrong
  const Identity identity{found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  if (auto open = last.gguf.lock(); open && last.file == file && last.identity == identity) return open;
  auto opened = std::make_shared<const Gguf>(file);
  last = {file, identity, opened};
  return opened;
}

Gguf::Gguf(std::span<const uint8_t> bytes, std::string where) : where_(std::move(where)) { parse(bytes); }

void Gguf::parse(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  refuse_lfs_pointer(text, where_);
  if (!text.starts_with(gguf_magic)) throw Error(where_, "is not a GGUF file", "name a file that begins with \"GGUF\"");
  Header header(text, where_);
  ByteReader& reader = header.reader();
  reader.take(gguf_magic.size());
  const uint32_t version = reader.u32();
  if (version != 2 && version != 3)
    throw Error(where_, fmt::format("is of GGUF's version {}", (version & 0xffff) == 0 ? version >> 24 : version),
                (version & 0xffff) == 0 ? "it is written for big-endian machines: fetch the little-endian file"
                                        : "versions 2 and 3 are read: convert it again with today's tools");
  const uint64_t tensors = header.count("tensors", least_tensor);
  const uint64_t values = header.count("values", least_entry);
  for (uint64_t i = 0; i < values; ++i) {
    std::string key = header.name("key");
    GgufValue value = header.value(key);
    if (!metadata_.emplace(key, std::move(value)).second)
      throw Error(tensor_place(where_, key), "is there twice", damaged_hint);
  }
  const uint64_t alignment = alignment_of(metadata_, where_);
  for (uint64_t i = 0; i < tensors; ++i) {
    Entry entry;
    entry.name = header.name("tensor's name");
    const std::string place = tensor_place(where_, entry.name);
    const uint64_t size = read_shape(header, place, entry);
    entry.begin = reader.u64();
    if (__builtin_add_overflow(entry.begin, size, &entry.end))
      throw Error(place, fmt::format("lies at byte {} of the data", entry.begin), damaged_hint);
    if (!index_.emplace(entry.name, entries_.size()).second) throw Error(place, "is there twice", damaged_hint);
    entries_.push_back(std::move(entry));
  }
  const uint64_t start = (reader.position() + alignment - 1) / alignment * alignment;
  data_ = bytes.subspan(std::min<uint64_t>(start, bytes.size()));
  check_places(alignment);
}

// Every tensor lies in the data, aligned, and beside the others.
void Gguf::check_places(uint64_t alignment) const {
  std::vector<const Entry*> order;
  for (const Entry& e : entries_) {
    const std::string place = tensor_place(where_, e.name);
    if (e.begin % alignment != 0)
      throw Error(place, fmt::format("lies at byte {}, which is not aligned to {}", e.begin, alignment), damaged_hint);
    if (e.end > data_.size())
      throw Error(place, fmt::format("lies at [{}, {}) of {} bytes of data", e.begin, e.end, data_.size()),
                  damaged_hint);
    order.push_back(&e);
  }
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->begin < b->begin; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i]->begin < order[i - 1]->end)
      throw Error(tensor_place(where_, order[i]->name), fmt::format("overlaps with {}", order[i - 1]->name),
                  damaged_hint);
}

std::vector<std::string> Gguf::names() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_) names.push_back(e.name);
  return names;
}

const Gguf::Entry& Gguf::entry(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw_no_tensor(where_, name, names());
  return entries_[found->second];
}

Tensor Gguf::get(const std::string& name) const {
  const Entry& e = entry(name);
  const uint8_t* data = data_.data() + e.begin;
  const size_t size = e.end - e.begin;
  const size_t unit = is_block(e.dtype) ? alignof(f16) : static_cast<size_t>(size_of(e.dtype));
  if (file_ && reinterpret_cast<uintptr_t>(data) % unit == 0)
    return Tensor::wrap(Storage::borrow(data, size, file_), 0, e.shape, e.dtype);
  Tensor tensor = Tensor::empty(e.shape, e.dtype);
  std::memcpy(tensor.raw(), data, size);
  return tensor;
}

}  // namespace qkv
