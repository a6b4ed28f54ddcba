// GGUF: round trips, files written by hand, and hostile ones.
#include "qkv/core/error.h"
#include "qkv/io/gguf.h"
#include "qkv/kernels/blocks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace qkv {
namespace {

// A file put together piece by piece, so that any piece can be wrong.
class Maker {
 public:
  explicit Maker(uint64_t tensors = 0, uint64_t values = 0, uint32_t version = 3) {
    bytes_ = "GGUF";
    number(version).number(tensors).number(values);
  }
  template <typename T>
  Maker& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Maker& string(std::string_view text) {
    number(static_cast<uint64_t>(text.size()));
    bytes_ += text;
    return *this;
  }
  Maker& u32(std::string_view key, uint32_t value) { return string(key).number(uint32_t{4}).number(value); }
  Maker& tensor(std::string_view name, std::vector<uint64_t> sizes, uint32_t type, uint64_t offset) {
    string(name).number(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) number(size);
    return number(type).number(offset);
  }
  Maker& data(size_t bytes, uint64_t alignment = 32) {
    bytes_.append((alignment - bytes_.size() % alignment) % alignment, '\0');
    bytes_.append(bytes, '\0');
    return *this;
  }
  Gguf read() const { return {{reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()}, "test"}; }
  std::string refusal() const {
    try {
      read();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

constexpr uint32_t f32 = 0, q8_0 = 8, array = 9, string_type = 8;

struct TemporaryFile {
  fs::path path = fs::temp_directory_path() / fmt::format("qkv-gguf-{}.gguf", ::getpid());
  ~TemporaryFile() { fs::remove(path); }
};

TEST(Gguf, WhatIsWrittenIsReadInPlace) {
  const TemporaryFile file;
  const Tensor a = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = Tensor::zeros({4, 64}, DType::q8_0);
  kernels::quantize_row(DType::q8_0, std::vector<float>(256, 0.5F).data(), b.raw(), 256);
  GgufMetadata metadata = {{"general.architecture", GgufValue::of_string("llama")},
                           {"a.count", GgufValue::of_u32(7)},
                           {"a.eps", GgufValue::of_f32(1e-5)},
                           {"a.flag", GgufValue::of_bool(true)},
                           {"a.long", {GgufType::i64, -5000000000, {}}},
                           {"a.wide", {GgufType::f64, 0.1, {}}},
                           {"a.small", {GgufType::i8, -3, {}}},
                           {"a.tokens", GgufValue::of_array(GgufType::string, {"x", "", "\xC3\xBF"})},
                           {"a.types", GgufValue::of_array(GgufType::i32, {1, -1})}};
  write_gguf(file.path, metadata, lazily({{"a", a}, {"b", b}}));
  EXPECT_TRUE(is_gguf(file.path));
  const Gguf read(file.path);
  EXPECT_EQ(read.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read.get("a").shape(), (Shape{2, 3}));
  EXPECT_EQ(read.get("a").to_vector<float>(), a.to_vector<float>());
  EXPECT_EQ(read.dtype("b"), DType::q8_0);
  EXPECT_EQ(std::memcmp(read.get("b").raw(), b.raw(), b.storage()->bytes()), 0);
  EXPECT_TRUE(read.get("b").storage()->bytes() == 8 * 34U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(read.get("b").raw()) % 32, 0U);
  ASSERT_EQ(read.metadata().size(), metadata.size());
  for (const auto& [key, value] : metadata) {
    const GgufValue& got = read.metadata().at(key);
    EXPECT_EQ(got.type, value.type) << key;
    if (value.type == GgufType::f32) {
      EXPECT_EQ(got.value.get<float>(), value.value.get<float>()) << key;
    } else {
      EXPECT_TRUE(got.value == value.value && got.list.json() == value.list.json()) << key;
    }
  }
  EXPECT_THROW(read.get("c"), Error);
  EXPECT_THROW(write_gguf(file.path, {}, lazily({{"a", a}, {"a", a}})), Error);
  EXPECT_EQ(Gguf(file.path).names().size(), 2U);  // the failed writing left the old file
}

TEST(Gguf, AnOpenFileIsNotReadAgainUnlessItChanged) {
  const TemporaryFile file;
  const auto write = [&](std::vector<float> values) {
    const auto count = std::ssize(values);
    write_gguf(file.path, {}, lazily({{"a", Tensor::from<float>({count}, std::move(values))}}));
  };
  write({1, 2});
  std::shared_ptr<const Gguf> first = open_gguf(file.path);
  EXPECT_EQ(open_gguf(file.path), first);
  write({1, 2, 3});
  const std::shared_ptr<const Gguf> second = open_gguf(file.path);
  EXPECT_EQ(second->shape("a"), Shape{3});
  EXPECT_EQ(first->shape("a"), Shape{2});
  EXPECT_THROW(open_gguf(file.path.string() + ".no"), Error);
}

TEST(Gguf, AFileByHand) {
  Maker maker(2, 2, 2);
  maker.u32("general.alignment", 64).string("n").number(array).number(uint32_t{6}).number(uint64_t{2});
  maker.number(0.5F).number(2.0F).tensor("x", {3, 2}, f32, 0).tensor("y", {32}, q8_0, 64).data(64 + 34, 64);
  const Gguf file = maker.read();
  EXPECT_EQ(file.shape("x"), (Shape{2, 3}));
  EXPECT_EQ(file.get("x").to_vector<float>(), std::vector<float>(6, 0));
  EXPECT_EQ(file.dtype("y"), DType::q8_0);
  EXPECT_EQ(file.metadata().at("n").list.json(), Json({0.5, 2.0}));
}

TEST(Gguf, EveryTruncationIsRefused) {
  Maker maker(1, 2);
  maker.u32("a", 1).string("t").number(array).number(string_type).number(uint64_t{1}).string("abc");
  maker.tensor("x", {8, 4}, f32, 0).data(128);
  ASSERT_NO_THROW(maker.read());
  const std::string& bytes = maker.bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::vector<uint8_t> part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_THROW(Gguf(part, "test"), Error) << length;
  }
}

TEST(Gguf, HostileFiles) {
  const std::pair<Maker, const char*> hostile[] = {
      {Maker(0, 0, 1), "version 1"},
      {Maker(0, 0, 0x03000000), "version 3"},
      {Maker(UINT64_MAX), "tensors"},
      {Maker(0, UINT64_MAX / 2), "values"},
      {Maker(0, 1).number(UINT64_MAX).data(40), "key of"},
      {Maker(0, 1).string("").data(40), "key of 0 bytes"},
      {Maker(0, 1).string(std::string_view("a\0b", 3)).data(40), "zero byte"},
      {Maker(0, 1).string("a").number(uint32_t{13}).data(40), "unknown type 13"},
      {Maker(0, 1).string("a").number(uint32_t{7}).number(uint8_t{2}).data(40), "neither true nor false"},
      {Maker(0, 1).string("a").number(uint32_t{8}).number(UINT64_MAX), "cut off"},
      {Maker(0, 1).string("caf\xE9").number(uint32_t{4}).number(uint32_t{1}), "key is not valid UTF-8"},
      {Maker(0, 1).string("a").number(string_type).string("caf\xE9"), "byte 0xe9 at position 3"},
      {Maker(0, 1).string("a").number(array).number(string_type).number(uint64_t{2}).string("b").string("\xC3"),
       "UTF-8"},
      {Maker(1).tensor("caf\xE9", {8}, f32, 0).data(64), "tensor's name is not valid UTF-8"},
      {Maker(0, 1).string("a").number(array).number(array).number(uint64_t{1}).data(40), "list of lists"},
      {Maker(0, 1).string("a").number(array).number(string_type).number(UINT64_MAX / 8), "items"},
      {Maker(0, 1).string("a").number(array).number(uint32_t{0}).number(UINT64_MAX), "items"},
      {Maker(0, 1).string("a").number(array).number(uint32_t{0}).number(uint64_t{1} << 25).data(1 << 25), "at most"},
      {Maker(0, 2).u32("a", 1).u32("a", 2), "twice"},
      {Maker(0, 1).u32("general.alignment", 0), "power of two"},
      {Maker(0, 1).u32("general.alignment", 48), "power of two"},
      {Maker(0, 1).u32("general.alignment", 1U << 30), "power of two"},
      {Maker(1).tensor("x", {}, f32, 0).data(64), "0 dimensions"},
      {Maker(1).tensor("x", {1, 1, 1, 1, 1}, f32, 0).data(64), "5 dimensions"},
      {Maker(1).tensor("x", {0}, f32, 0).data(64), "dimension of 0"},
      {Maker(1).tensor("x", {UINT64_MAX}, f32, 0).data(64), "dimension of"},
      {Maker(1).tensor("x", {uint64_t{1} << 40, uint64_t{1} << 40}, f32, 0).data(64), "too large"},
      {Maker(1).tensor("x", {uint64_t{1} << 32, uint64_t{1} << 30}, f32, 0).data(64), "too large"},
      {Maker(1).tensor("x", {33}, q8_0, 0).data(64), "whole number"},
      {Maker(1).tensor("x", {8}, 16, 0).data(64), "not supported"},
      {Maker(1).tensor("x", {8}, 0xffffffff, 0).data(64), "not supported"},
      {Maker(1).tensor("x", {8}, f32, 4).data(64), "not aligned"},
      {Maker(1).tensor("x", {8}, f32, 64).data(64), "of 64 bytes"},
      {Maker(1).tensor("x", {8}, f32, UINT64_MAX - 31).data(64), "byte 18446744073709551584"},
      {Maker(2).tensor("x", {16}, f32, 0).tensor("y", {8}, f32, 32).data(64), "overlaps"},
      {Maker(2).tensor("x", {8}, f32, 0).tensor("x", {8}, f32, 32).data(64), "twice"},
  };
  for (const auto& [maker, expected] : hostile)
    EXPECT_NE(maker.refusal().find(expected), std::string::npos) << expected << ": " << maker.refusal();
  EXPECT_THROW(Gguf(std::span<const uint8_t>(), "test"), Error);
}

}  // namespace
}  // namespace qkv
