#include "qkv/io/tensor_bundle.h"

#include "qkv/core/error.h"
#include "tests/io/table_builder.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

using namespace table_builder;

constexpr uint64_t bundle_f32 = 1;
const std::string data = raw(1.5F) + raw(-2.0F) + raw(0.25F) + raw(8.0F);

struct DescribedEntry {
  uint64_t type = bundle_f32;
  std::vector<uint64_t> shape = {2, 2};
  uint64_t shard = 0, offset = 0, size = 16;
  std::string more;
};
std::string entry(const DescribedEntry& d) {
  std::string shape;
  for (const uint64_t size : d.shape) shape += field(2, field(1, size));
  return field(1, d.type) + field(2, shape) + field(3, d.shard) + field(4, d.offset) + field(5, d.size) + "\x35" +
         raw(masked_crc32c(data)) + d.more;
}
std::string index_of(const DescribedEntry& d) { return table_of(block({{"", field(1, 1)}, {"w", entry(d)}})); }

std::string bundle_error(const std::string& index) {
  try {
    TensorBundle(index, data, "a.index").get("w");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user);
    EXPECT_EQ(error.where().substr(0, 7), "a.index");
    return error.what();
  }
}
void expect(const std::string& index, const char* says) {
  EXPECT_NE(bundle_error(index).find(says), std::string::npos) << says << ": " << bundle_error(index);
}

TEST(TensorBundle, ReadsATensor) {
  const std::string index = index_of({});
  const TensorBundle bundle(index, data, "a.index");
  EXPECT_EQ(bundle.names(), std::vector<std::string>{"w"});
  EXPECT_EQ(bundle.shape("w"), (Shape{2, 2}));
  EXPECT_EQ(bundle.get("w").to_vector<float>(), (std::vector<float>{1.5, -2, 0.25, 8}));
  EXPECT_THROW(bundle.get("v"), Error);
}

TEST(TensorBundle, ReadsACompressedIndex) {
  const std::string plain = block({{"", field(1, 1)}, {"w", entry({})}});
  std::string packed = varint(plain.size());
  for (const char c : plain) packed += std::string(1, '\0') + c;  // a literal of one byte each
  EXPECT_EQ(bundle_error(table_of(packed, 1)), "");
}

TEST(TensorBundle, RefusesEntriesThatLie) {
  const uint64_t huge = uint64_t{1} << 62;
  const uint64_t minus = ~uint64_t{0};
  expect(index_of({.type = 8}), "element type 8");
  expect(index_of({.shape = {2, 3}}), "does not fill");
  expect(index_of({.shape = {huge, huge}}), "does not fill");
  expect(index_of({.shape = {0, huge, huge}, .size = 0}), "does not fill");
  expect(index_of({.shape = {minus}}), "negative size");
  expect(index_of({.shape = {1, 1, 1, 1, 1, 1, 1}}), "more than 6 dimensions");
  expect(index_of({.shard = 1}), "data file 1 of 1");
  expect(index_of({.shard = minus}), "data file -1 of 1");
  expect(index_of({.offset = 1}), "of 16 bytes of data");
  expect(index_of({.offset = huge}), "of 16 bytes of data");
  expect(index_of({.offset = minus}), "of 16 bytes of data");
  expect(index_of({.shape = {8, 8}, .size = 256}), "of 16 bytes of data");
  expect(index_of({.shape = {1}, .size = 4}), "check sum");
  expect(index_of({.more = field(7, "")}), "slices");
  expect(index_of({.more = "\x09"}), "cut off");
}

TEST(TensorBundle, RefusesHeadersThatLie) {
  const auto with_header = [](const std::string& header) { return table_of(block({{"", header}, {"w", entry({})}})); };
  expect(with_header(field(1, 0)), "says it has 0 data files");
  expect(with_header(field(1, 1'000'000)), "says it has 1000000 data files");
  expect(with_header(field(1, 2)), "more than one data file");
  expect(with_header(field(1, 1) + field(2, 1)), "byte order");
  expect(table_of(block({{"w", entry({})}})), "data file 0 of 0");
  expect(table_of(block({{"", field(1, 1)}})), "no tensors");
  expect(table_of(block({{"", field(1, 1)}, {"w", entry({})}, {"w", entry({})}})), "twice");
  expect(table_of(block({{"", field(1, 1)}, {"", field(1, 1)}})), "two headers");
}

TEST(SortedTable, RefusesBlocksThatLie) {
  const std::string good = block({{"", field(1, 1)}, {"w", entry({})}});
  EXPECT_EQ(bundle_error(table_of(good)), "");
  expect(table_of(""), "cut off");
  expect(table_of(raw<uint32_t>(0xffffffff)), "cut off");
  expect(table_of(varint(5) + varint(1) + varint(0) + "k" + raw<uint32_t>(0) + raw<uint32_t>(1)), "shares more");
  expect(table_of(varint(0) + varint(99) + varint(0) + "k" + raw<uint32_t>(0) + raw<uint32_t>(1)), "cut off");
  expect(table_of(std::string(11, '\xff') + raw<uint32_t>(0) + raw<uint32_t>(1)), "more than 64 bits");
  expect(table_of(good, 2), "unknown way");
  std::string changed = table_of(good);
  changed[3] ^= 1;
  expect(changed, "check sum");
  const std::string whole = table_of(good);
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_NE(bundle_error(whole.substr(0, size)), "") << size;
}

TEST(SortedTable, RefusesCompressionThatLies) {
  const auto refused = [](const std::string& bytes, const char* says) {
    try {
      decompress_snappy(bytes, "a.index", 1 << 20);
      FAIL() << says;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
  };
  EXPECT_EQ(decompress_snappy(std::string("\x09\x08"
                                          "abc\x09\x03",
                                          7),
                              "a", 99),
            "abcabcabc");
  refused(std::string("\x09\x08"
                      "abc\x09\x04",
                      7),
          "before its begin");
  refused(std::string("\x09\x08"
                      "abc\x09\0",
                      7),
          "before its begin");
  refused(std::string("\x05\x08"
                      "abc\x09\x03",
                      7),
          "longer than it says");
  refused(std::string("\x20\x08"
                      "abc\x09\x03",
                      7),
          "shorter than it says");
  refused(std::string("\x09\xf0\xff", 3), "longer than it says");
  refused(std::string("\x09\xfc\xff\xff\xff\xff", 6), "longer than it says");
  refused("\xff\xff\xff\x7f", "unreasonably large");
  refused("", "cut off");
}

}  // namespace
}  // namespace qkv
