#include "qkv/io/torch_file.h"

#include "qkv/io/torch_pickle.h"
#include "qkv/io/zip.h"

#include <set>

namespace qkv {
namespace {

constexpr uint64_t max_pickle = uint64_t{64} << 20;  // a description takes some 200 bytes a tensor

// torch.save before 1.6 begins with a pickled number, always these bytes.
constexpr std::string_view legacy_magic("\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr int64_t legacy_version = 1001;

}  // namespace

TorchFile::TorchFile(const fs::path& path) : where_(path.string()), file_(std::make_shared<const MappedFile>(path)) {
  parse(file_->text());
}

TorchFile::TorchFile(std::string_view bytes, std::string where) : where_(std::move(where)) { parse(bytes); }

void TorchFile::parse(std::string_view bytes) {
  refuse_lfs_pointer(bytes, where_);
  if (bytes.starts_with("PK")) return parse_zip(bytes);
  if (bytes.starts_with(legacy_magic)) return parse_legacy(bytes);
  // PyTorch 0.1 wrote tar archives; their first member is "sys_info".
  if (bytes.starts_with("sys_info"))
    throw Error(where_, "is of PyTorch 0.1's format, which is not read", "save it again with a later PyTorch");
  throw Error(where_, "is not a file that torch.save wrote", damaged_hint);
}

void TorchFile::parse_zip(std::string_view archive) {
  const auto records = read_zip(archive, where_);
  constexpr std::string_view pickle_name = "/data.pkl";
  std::string root;
  std::string_view description;
  for (const auto& [name, bytes] : records) {
    if (!name.ends_with(pickle_name)) continue;
    if (description.data() != nullptr)
      throw Error(where_, fmt::format("holds two pickles, {} and {}/data.pkl", name, root), damaged_hint);
    root = name.substr(0, name.size() - pickle_name.size());
    description = bytes;
  }
  if (description.data() == nullptr) throw Error(where_, "is a zip archive without data.pkl, not PyTorch weights");
  if (records.count(root + "/constants.pkl") > 0)
    throw Error(where_, "is a TorchScript program, not weights alone", "save the model's state_dict() with torch.save");
  if (const auto order = records.find(root + "/byteorder"); order != records.end() && order->second != "little")
    throw Error(where_, fmt::format("is of byte order '{}'; only little is read", order->second.substr(0, 20)));
  if (description.size() > max_pickle)
    throw Error(where_,
                fmt::format("its pickle is {} bytes long; at most {} are allowed", description.size(), max_pickle));

  Storages storages;
  const std::string folder = root + "/data/";
  for (auto record = records.lower_bound(folder); record != records.end() && record->first.starts_with(folder);
       ++record)
    storages[record->first.substr(folder.size())] = record->second;
  const Pickle pickle(description, fmt::format("{}: {}{}", where_, root, pickle_name), torch_globals);
  read_dictionary(pickle.root(), storages);
}

// Five pickles, a magic number, the version, the machine, the object and the storages' keys, then each storage: the
// number of its elements and their bytes.
void TorchFile::parse_legacy(std::string_view bytes) {
  size_t at = legacy_magic.size();
  const auto next = [&] {
    Pickle pickle(bytes.substr(at, max_pickle), where_, torch_globals);
    at += pickle.length();
    return pickle;
  };
  const Pickle version = next();
  if (version.root().integer != legacy_version)
    throw Error(where_, fmt::format("is of version {}; {} is read", version.root().integer, legacy_version));
  const Pickle machine = next();
  if (const Pickle::Value* little = machine.root().find("little_endian"); little != nullptr && little->integer != 1)
    throw Error(where_, "is of a machine of another byte order; only little endian is read");
  const Pickle object = next();
  std::map<std::string_view, StoredType> types;
  for (const Pickle::Value& value : object.values())
    if (value.is(Pickle::Value::Kind::persistent)) {
      const StorageId id = storage_id(value, where_);
      types[id.key] = id.type;
    }

  const Pickle keys = next();
  ByteReader reader(bytes.substr(at), where_, "the storages");
  Storages storages;
  for (const Pickle::Value* key : keys.root().items) {
    const auto type = types.find(key->text);
    if (type == types.end())
      throw Error(where_, fmt::format("holds a storage '{}' that no tensor uses", key->text.substr(0, 40)),
                  damaged_hint);
    uint64_t size = 0;
    if (__builtin_mul_overflow(reader.u64(), static_cast<uint64_t>(size_of(type->second)), &size))
      throw Error(where_, fmt::format("its storage '{}' is larger than any memory", type->first), damaged_hint);
    if (!storages.emplace(type->first, reader.take(size)).second)
      throw Error(where_, fmt::format("holds the storage '{}' twice", type->first), damaged_hint);
  }
  read_dictionary(object.root(), storages);
}

void TorchFile::read_dictionary(const Pickle::Value& root, const Storages& storages) {
  const Pickle::Value& tensors = dictionary_of_tensors(root, where_);
  for (size_t i = 0; i + 1 < tensors.items.size(); i += 2) {
    const Pickle::Value* arguments = tensor_arguments(*tensors.items[i + 1]);
    if (arguments == nullptr) continue;
    const std::string name(tensors.items[i]->text);
    const std::string place = tensor_place(where_, name);
    const TensorView view = tensor_view(*arguments, place);
    const auto storage = storages.find(view.storage.key);
    if (storage == storages.end())
      throw Error(place, fmt::format("lies in storage '{}', which the file lacks", view.storage.key.substr(0, 40)),
                  damaged_hint);
    const auto size = static_cast<uint64_t>(size_of(view.storage.type));
    // The view has been checked against the count, the count is checked here: nothing overflows.
    if (view.storage.begin > storage->second.size() / size ||
        view.storage.count > storage->second.size() / size - view.storage.begin)
      throw Error(place,
                  fmt::format("lies in a storage of {} elements from {} on; the file has {} bytes of it",
                              view.storage.count, view.storage.begin, storage->second.size()),
                  damaged_hint);
    if (!index_.emplace(name, entries_.size()).second) throw Error(place, "is in the file twice", damaged_hint);
    const char* data = storage->second.data() + (view.storage.begin + view.offset) * size;
    entries_.push_back({name, view.storage.type, view.shape, view.strides, data, view.reach});
  }
  if (entries_.empty()) throw Error(where_, "holds no tensors", "name a file with a model's state_dict");
}

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_) names.push_back(e.name);
  return names;
}

const TorchFile::Entry& TorchFile::entry(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw_no_tensor(where_, name, names());
  return entries_[found->second];
}

Tensor TorchFile::get(const std::string& name) const {
  const Entry& e = entry(name);
  const DType dtype = read_as(e.type);
  const bool same = size_of(dtype) == size_of(e.type);
  if (e.reach == 0) return Tensor::empty(e.shape, dtype);
  if (file_ && same && reinterpret_cast<uintptr_t>(e.data) % static_cast<uintptr_t>(size_of(dtype)) == 0) {
    const auto bytes = static_cast<size_t>(e.reach) * static_cast<size_t>(size_of(dtype));
    return Tensor::wrap(Storage::borrow(e.data, bytes, file_), 0, e.shape, e.strides, dtype);
  }
  const Tensor flat = converted(e.data, static_cast<int64_t>(e.reach), e.type);
  return Tensor::wrap(flat.storage(), 0, e.shape, e.strides, dtype);
}

}  // namespace qkv
