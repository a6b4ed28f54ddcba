#include "qkv/io/sorted_table.h"

#include "qkv/core/byte_reader.h"
#include "qkv/core/crc.h"

namespace qkv {
namespace {

constexpr uint64_t table_magic = 0xdb4775248b80fb57;
constexpr size_t footer_size = 48;
constexpr size_t trailer_size = 5;  // the kind of compression and the check sum
constexpr size_t max_block = size_t{64} << 20;

[[noreturn]] void fail(const std::string& where, const char* what) { throw Error(where, what, damaged_hint); }

uint64_t varint(ByteReader& reader, const std::string& where) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = reader.number<uint8_t>();
    value |= uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  fail(where, "the index has a number of more than 64 bits");
}

struct Handle {
  uint64_t offset = 0, size = 0;
};

Handle read_handle(ByteReader& reader, const std::string& where) {
  Handle handle;
  handle.offset = varint(reader, where);
  handle.size = varint(reader, where);
  return handle;
}

// A block, checked; `unpacked` holds it where it was compressed.
std::string_view block_at(std::string_view table, const Handle& handle, const std::string& where,
                          std::string& unpacked) {
  if (handle.offset > table.size() || handle.size > table.size() - handle.offset ||
      table.size() - handle.offset - handle.size < trailer_size)
    fail(where, "a block of the index lies outside the file");
  const std::string_view block = table.substr(handle.offset, handle.size);
  ByteReader trailer(table.substr(handle.offset + handle.size, trailer_size), where, "a block of the index");
  const auto compression = trailer.number<uint8_t>();
  if (trailer.u32() != masked_crc32c(table.substr(handle.offset, handle.size + 1)))
    fail(where, "a block of the index does not have its check sum");
  if (compression == 0) return block;
  if (compression != 1) fail(where, "a block of the index is compressed in an unknown way");
  unpacked = decompress_snappy(block, where, max_block);
  return unpacked;
}

void read_block(std::string_view block, const std::string& where,
                const std::function<void(std::string_view, std::string_view)>& visit) {
  if (block.size() < 4) fail(where, "a block of the index is cut off");
  ByteReader end(block.substr(block.size() - 4), where, "a block of the index");
  const uint64_t restarts = uint64_t{end.u32()} * 4 + 4;
  if (restarts > block.size()) fail(where, "a block of the index is cut off");
  ByteReader pairs(block.substr(0, block.size() - restarts), where, "a block of the index");
  std::string key;
  while (pairs.left() > 0) {
    const uint64_t shared = varint(pairs, where);
    const uint64_t fresh = varint(pairs, where);
    const uint64_t value = varint(pairs, where);
    if (shared > key.size()) fail(where, "a key of the index shares more than there is");
    key.resize(shared);
    key += pairs.take(fresh);
    visit(key, pairs.take(value));
  }
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  const uint32_t sum = crc32c(bytes);
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8U;
}

std::string decompress_snappy(std::string_view bytes, const std::string& where, size_t max_bytes) {
  ByteReader in(bytes, where, "a compressed block");
  const uint64_t size = varint(in, where);
  if (size > max_bytes) fail(where, "a compressed block is unreasonably large");
  std::string out;
  while (in.left() > 0) {
    const auto tag = in.number<uint8_t>();
    uint64_t length = (tag >> 2) + 1U;
    size_t distance = 0;
    switch (tag & 3U) {
      case 0:  // bytes as they are; the lengths 61 to 64 say how many bytes the length itself takes
        if (length > 60) {
          const std::string_view digits = in.take(length - 60);
          length = 0;
          std::memcpy(&length, digits.data(), digits.size());
          ++length;
        }
        if (length > size - out.size()) fail(where, "a compressed block is longer than it says");
        out += in.take(length);
        continue;
      case 1:
        length = ((tag >> 2) & 7U) + 4U;
        distance = (static_cast<size_t>(tag >> 5) << 8) | in.number<uint8_t>();
        break;
      case 2:
        distance = in.u16();
        break;
      default:
        distance = in.u32();
    }
    if (distance == 0 || distance > out.size()) fail(where, "a compressed block copies from before its begin");
    if (length > size - out.size()) fail(where, "a compressed block is longer than it says");
    for (size_t i = 0; i < length; ++i) out += out[out.size() - distance];  // may copy what it has just written
  }
  if (out.size() != size) fail(where, "a compressed block is shorter than it says");
  return out;
}

void read_sorted_table(std::string_view table, const std::string& where,
                       const std::function<void(std::string_view key, std::string_view value)>& visit) {
  if (table.size() < footer_size) fail(where, "is too short for an index of a TensorFlow checkpoint");
  ByteReader footer(table.substr(table.size() - footer_size), where, "the footer");
  ByteReader tail(table.substr(table.size() - 8), where, "the footer");
  if (tail.u64() != table_magic) fail(where, "is not an index of a TensorFlow checkpoint, or cut off");
  read_handle(footer, where);  // of the block of filters, which TensorFlow leaves empty
  const Handle index = read_handle(footer, where);
  std::string unpacked_index;
  read_block(block_at(table, index, where, unpacked_index), where, [&](std::string_view, std::string_view value) {
    ByteReader reader(value, where, "a block's place");
    std::string unpacked;
    read_block(block_at(table, read_handle(reader, where), where, unpacked), where, visit);
  });
}

}  // namespace qkv
