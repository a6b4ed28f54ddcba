#include "qkv/io/zip.h"

#include "qkv/core/byte_reader.h"
#include "qkv/core/crc.h"

#include <algorithm>
#include <vector>

namespace qkv {
namespace {

constexpr uint32_t local_signature = 0x04034b50;
constexpr uint32_t entry_signature = 0x02014b50;
constexpr uint32_t end_signature = 0x06054b50;
constexpr uint32_t end64_signature = 0x06064b50;
constexpr uint32_t locator_signature = 0x07064b50;
constexpr size_t local_size = 30;
constexpr size_t end_size = 22;
constexpr size_t end64_size = 56;
constexpr size_t locator_size = 20;
constexpr uint32_t in_64_bits = 0xffffffff;  // the number stands in a 64-bit field elsewhere
constexpr uint16_t size64_field = 1;
constexpr uint16_t padding_field = 0x4246;  // "FB", as PyTorch pads
constexpr uint16_t encrypted = 1;
constexpr uint64_t alignment = 64;

struct Directory {
  uint64_t entries = 0, size = 0, offset = 0;
};

[[noreturn]] void fail(const std::string& where, const std::string& what) { throw Error(where, what, damaged_hint); }

// The end record is the last thing in the file but for a comment of at most 64 KiB.
size_t find_end(std::string_view archive, const std::string& where) {
  if (archive.size() < end_size) fail(where, "is too short for a zip archive");
  const size_t lowest = archive.size() - std::min<size_t>(archive.size(), end_size + 0xffff);
  for (size_t at = archive.size() - end_size + 1; at-- > lowest;) {
    ByteReader record(archive.substr(at, end_size), where, "the end of the zip directory");
    if (record.u32() != end_signature) continue;
    record.take(16);
    if (record.u16() == archive.size() - at - end_size) return at;
  }
  fail(where, "has no zip directory at its end: the file is cut off, or not a zip archive");
}

Directory read_end(std::string_view archive, const std::string& where) {
  const size_t end = find_end(archive, where);
  ByteReader record(archive.substr(end, end_size), where, "the end of the zip directory");
  record.take(8);
  Directory directory;
  record.take(2);
  directory.entries = record.u16();
  directory.size = record.u32();
  directory.offset = record.u32();
  if (end < locator_size) return directory;
  ByteReader locator(archive.substr(end - locator_size, locator_size), where, "the zip directory's locator");
  if (locator.u32() != locator_signature) return directory;
  locator.take(4);
  const uint64_t at = locator.u64();
  if (at > archive.size() || archive.size() - at < end64_size)
    fail(where, "its zip directory's end lies outside the file");
  ByteReader record64(archive.substr(at, end64_size), where, "the end of the zip directory");
  if (record64.u32() != end64_signature) fail(where, "its zip directory's locator points at something else");
  record64.take(28);
  directory.entries = record64.u64();
  directory.size = record64.u64();
  directory.offset = record64.u64();
  return directory;
}

struct Entry {
  std::string name;
  uint64_t stored = 0, size = 0, offset = 0;
};

Entry read_entry(ByteReader& directory, const std::string& where) {
  if (directory.u32() != entry_signature) fail(where, "the zip directory has something else where an entry belongs");
  directory.take(4);
  const uint16_t flags = directory.u16();
  const uint16_t method = directory.u16();
  directory.take(8);
  Entry entry;
  entry.stored = directory.u32();
  entry.size = directory.u32();
  const uint16_t name_length = directory.u16();
  const uint16_t extra_length = directory.u16();
  const uint16_t comment_length = directory.u16();
  directory.take(8);
  entry.offset = directory.u32();
  entry.name = directory.take(name_length);
  ByteReader extra(directory.take(extra_length), where, "an entry's extra field");
  directory.take(comment_length);
  while (extra.left() >= 4) {
    const uint16_t kind = extra.u16();
    ByteReader field(extra.take(extra.u16()), where, "an entry's 64-bit sizes");
    if (kind != size64_field) continue;
    for (uint64_t* number : {&entry.size, &entry.stored, &entry.offset})
      if (*number == in_64_bits) *number = field.u64();
  }
  const std::string place = fmt::format("{}: {}", where, entry.name.substr(0, 200));
  if ((flags & encrypted) != 0) throw Error(place, "is encrypted", "decrypt the file first");
  if (method != 0)
    throw Error(place, fmt::format("is compressed (method {})", method),
                "weights lie uncompressed in PyTorch's files; unpack and pack again with `zip -0 -r`");
  if (entry.stored != entry.size) fail(place, "has two sizes");
  return entry;
}

std::string_view bytes_of(const Entry& entry, std::string_view archive, const std::string& where) {
  const std::string place = fmt::format("{}: {}", where, entry.name.substr(0, 200));
  if (entry.offset > archive.size() || archive.size() - entry.offset < local_size) fail(place, "lies outside the file");
  ByteReader header(archive.substr(entry.offset), place, "its header");
  if (header.u32() != local_signature) fail(place, "has no header where the zip directory says");
  header.take(22);
  const uint16_t name_length = header.u16();
  const uint16_t extra_length = header.u16();
  if (header.take(name_length) != entry.name) fail(place, "has another name in its own header");
  header.take(extra_length);
  if (entry.size > header.left())
    fail(place, fmt::format("is said to be {} bytes long; {} are there", entry.size, header.left()));
  return header.take(entry.size);
}

template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// What a header of an entry and its line in the directory share: flags to the lengths of name and extra field.
std::string common_fields(std::string_view name, uint32_t crc, size_t extra) {
  std::string fields;
  put<uint16_t>(fields, 0x0800);  // names are UTF-8
  put<uint16_t>(fields, 0);       // uncompressed
  put<uint16_t>(fields, 0);       // midnight of
  put<uint16_t>(fields, 0x21);    // 1 January 1980: the same bytes every time
  put(fields, crc);
  put(fields, in_64_bits);
  put(fields, in_64_bits);
  put(fields, static_cast<uint16_t>(name.size()));
  put(fields, static_cast<uint16_t>(extra));
  return fields;
}

}  // namespace

std::map<std::string, std::string_view, std::less<>> read_zip(std::string_view archive, const std::string& where) {
  const Directory directory = read_end(archive, where);
  if (directory.offset > archive.size() || directory.size > archive.size() - directory.offset)
    fail(where, "its zip directory lies outside the file");
  ByteReader lines(archive.substr(directory.offset, directory.size), where, "the zip directory");
  std::map<std::string, std::string_view, std::less<>> entries;
  std::vector<std::string_view> order;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = read_entry(lines, where);
    const std::string_view bytes = bytes_of(entry, archive, where);
    if (!entries.emplace(entry.name, bytes).second)
      fail(fmt::format("{}: {}", where, entry.name.substr(0, 200)), "is in the zip archive twice");
    if (!bytes.empty()) order.push_back(bytes);
  }
  std::sort(order.begin(), order.end(), [](auto a, auto b) { return a.data() < b.data(); });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i - 1].data() + order[i - 1].size() > order[i].data()) fail(where, "entries of the zip archive overlap");
  return entries;
}

void ZipWriter::write(std::string_view bytes) {
  file_.write(bytes);
  at_ += bytes.size();
}

void ZipWriter::add(const std::string& name, std::string_view bytes) {
  const uint64_t offset = at_;
  const uint32_t crc = crc32(bytes);
  const size_t before = local_size + name.size() + 20 + 4;  // up to the padding
  const size_t padding = (alignment - (at_ + before) % alignment) % alignment;

  std::string header;
  put(header, local_signature);
  put<uint16_t>(header, 45);  // readers must know 64-bit sizes
  header += common_fields(name, crc, 20 + 4 + padding);
  header += name;
  put(header, size64_field);
  put<uint16_t>(header, 16);
  put<uint64_t>(header, bytes.size());
  put<uint64_t>(header, bytes.size());
  put(header, padding_field);
  put(header, static_cast<uint16_t>(padding));
  header.append(padding, 'Z');
  write(header);
  write(bytes);

  put(directory_, entry_signature);
  put<uint16_t>(directory_, 45);
  put<uint16_t>(directory_, 45);
  directory_ += common_fields(name, crc, 28);
  put<uint16_t>(directory_, 0);  // comment
  put<uint16_t>(directory_, 0);  // disk
  put<uint16_t>(directory_, 0);  // attributes
  put<uint32_t>(directory_, 0);
  put(directory_, in_64_bits);
  directory_ += name;
  put(directory_, size64_field);
  put<uint16_t>(directory_, 24);
  put<uint64_t>(directory_, bytes.size());
  put<uint64_t>(directory_, bytes.size());
  put(directory_, offset);
  ++entries_;
}

void ZipWriter::commit() {
  const uint64_t begin = at_;
  write(directory_);
  const uint64_t end = at_;
  std::string record;
  put(record, end64_signature);
  put<uint64_t>(record, end64_size - 12);
  put<uint16_t>(record, 45);
  put<uint16_t>(record, 45);
  put<uint32_t>(record, 0);
  put<uint32_t>(record, 0);
  put(record, entries_);
  put(record, entries_);
  put<uint64_t>(record, directory_.size());
  put(record, begin);
  put(record, locator_signature);
  put<uint32_t>(record, 0);
  put(record, end);
  put<uint32_t>(record, 1);
  put(record, end_signature);
  put<uint16_t>(record, 0);
  put<uint16_t>(record, 0);
  put<uint16_t>(record, 0xffff);
  put<uint16_t>(record, 0xffff);
  put(record, in_64_bits);
  put(record, in_64_bits);
  put<uint16_t>(record, 0);
  write(record);
  file_.commit();
}

}  // namespace qkv
