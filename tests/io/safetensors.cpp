#include "qkv/io/safetensors.h"

#include "qkv/core/error.h"

#include <gtest/gtest.h>

#include <sys/mount.h>
#include <unistd.h>

#include <cstring>

namespace qkv {
namespace {

// A folder of one test, removed after it.
class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-safetensors-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

std::string file_bytes(std::string_view header, size_t data, uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += header;
  bytes.append(data, '\1');
  return bytes;
}
std::string file_bytes(std::string_view header, size_t data) { return file_bytes(header, data, header.size()); }

Safetensors parse(const std::string& bytes) {
  return Safetensors({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "a.safetensors");
}

std::string safetensors_error(const std::string& bytes) {
  try {
    parse(bytes);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user);
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
}

TEST_F(SafetensorsTest, WritesWhatItReads) {
  const Tensor matrix = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<NamedTensor> tensors = {{"ids", Tensor::from<int64_t>({2}, {-1, int64_t{1} << 40})},
                                            {"matrix", matrix},
                                            {"matrix.T", matrix.transpose(0, 1)},
                                            {"empty", Tensor::zeros({0, 4})},
                                            {"scalar", Tensor::from<float>({}, {7})},
                                            {"odd", Tensor::from<uint8_t>({3}, {1, 2, 255})},
                                            {"half", Tensor::zeros({3}, DType::bf16)}};
  write_safetensors(folder_ / "a.safetensors", tensors);
  const Safetensors file(folder_ / "a.safetensors");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"ids", "empty", "matrix", "matrix.T", "scalar", "half", "odd"}));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.shape("matrix.T"), (Shape{3, 2}));
  EXPECT_EQ(file.dtype("half"), DType::bf16);
  for (const NamedTensor& tensor : tensors) {
    EXPECT_EQ(file.get(tensor.name).shape(), tensor.value.shape());
    EXPECT_EQ(file.get(tensor.name).to_vector<double>(), tensor.value.to_vector<double>()) << tensor.name;
  }
}

TEST_F(SafetensorsTest, BorrowsThePagesOfTheFileAndKeepsThem) {
  write_safetensors(folder_ / "a.safetensors", {{"x", Tensor::from<float>({2}, {1, 2})}});
  Tensor x;
  {
    const Safetensors file(folder_ / "a.safetensors");
    x = file.get("x");
    EXPECT_EQ(x.raw(), file.get("x").raw());
  }
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST_F(SafetensorsTest, CopiesWhatLiesAskewInTheFile) {
  std::string bytes = file_bytes(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )", 4);
  ASSERT_NE(bytes.size() % 4, 0U);
  write_file(folder_ / "a.safetensors", bytes);
  const Tensor x = Safetensors(folder_ / "a.safetensors").get("x");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x.raw()) % 4, 0U);
  EXPECT_EQ(x.to_vector<float>().size(), 1U);
}

TEST_F(SafetensorsTest, KeepsTheHeadersOrderAndTheMetadata) {
  const std::string bytes = file_bytes(R"({"z":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                       R"("__metadata__":{"a":"b"},)"
                                       R"("a":{"data_offsets":[0,1],"shape":[],"dtype":"BOOL"}}   )",
                                       2);
  const Safetensors file = parse(bytes);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"z", "a"}));
  EXPECT_EQ(file.metadata().at("a"), "b");
  EXPECT_EQ(file.get("a").rank(), 0);
}

TEST_F(SafetensorsTest, SuggestsTheNearestName) {
  const std::string bytes = file_bytes(R"({"wte.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  try {
    parse(bytes).get("wte.wieght");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("wte.weight"), std::string::npos);
  }
}

TEST_F(SafetensorsTest, AcceptsNoTensorsAtAll) { EXPECT_TRUE(parse(file_bytes("{}", 0)).names().empty()); }

struct Hostile {
  const char* name;
  std::string bytes;
  const char* says;
};

std::string one(std::string_view entry, size_t data = 4) {
  return file_bytes(fmt::format(R"({{"w":{}}})", entry), data);
}

TEST_F(SafetensorsTest, RefusesWhatLies) {
  const std::string good = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string huge = "4611686018427387904";
  const std::vector<Hostile> cases = {
      {"empty", "", "too short"},
      {"seven bytes", "1234567", "too short"},
      {"4 GB length", file_bytes("{}", 1014, uint64_t{4} << 30), "4294967296 bytes long, in a file of 1024"},
      {"longest length", file_bytes("{}", 0, ~uint64_t{0}), "header is"},
      {"length past the end by one", file_bytes("{}", 0, 3), "header is 3 bytes"},
      {"git lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"},
      {"no header", file_bytes("", 0), "not valid JSON"},
      {"not JSON", file_bytes("{\"w\":", 0), "not valid JSON"},
      {"text after", file_bytes("{}x", 0), "not valid JSON"},
      {"NUL padding", file_bytes(std::string_view("{}\0", 3), 0), "NUL"},
      {"bad UTF-8", file_bytes("{\"\xff\":1}", 0), "not valid JSON"},
      {"array", file_bytes("[]", 0), "not an object"},
      {"number", file_bytes("1", 0), "not an object"},
      {"null tensor", one("null"), "w"},
      {"nested", one(R"({"dtype":{"a":{}}})"), "dtype"},
      {"deep", file_bytes(std::string(100000, '['), 0), "header is an array"},
      {"deep objects", one(R"({"shape":)" + std::string(100000, '[')), "shape"},
      {"repeated tensor", file_bytes(fmt::format(R"({{"w":{},"w":{}}})", good, good), 4), "twice"},
      {"repeated field", one(R"({"dtype":"F32","dtype":"F32"})"), "repeats"},
      {"unknown field", one(R"({"dtyp":"F32"})"), "unknown field \"dtyp\""},
      {"no dtype", one(R"({"shape":[1],"data_offsets":[0,4]})"), "no \"dtype\""},
      {"no shape", one(R"({"dtype":"F32","data_offsets":[0,4]})"), "no \"shape\""},
      {"no offsets", one(R"({"dtype":"F32","shape":[1]})"), "data_offsets"},
      {"one offset", one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), "data_offsets"},
      {"three offsets", one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})"), "more than two"},
      {"double precision", one(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})", 8), "w] has element type F64"},
      {"float8", one(R"({"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]})"), "F8_E4M3"},
      {"number as dtype", one(R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})"), "dtype"},
      {"negative size", one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), "-1"},
      {"fractional size", one(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})"), "1.5"},
      {"size past 64 bits", one(R"({"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]})"), "shape"},
      {"huge size", one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"), "size"},
      {"overflowing product", one(fmt::format(R"({{"dtype":"F32","shape":[{0},4,{0}],"data_offsets":[0,4]}})", huge)),
       "does not fill"},
      {"overflow hidden by an empty dimension",
       one(fmt::format(R"({{"dtype":"F32","shape":[0,{0},{0}],"data_offsets":[0,0]}})", huge), 0), "does not fill"},
      {"product that wraps to the right size",
       one(R"({"dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,0]})", 0), "does not fill"},
      {"rank", one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1],"data_offsets":[0,4]})"), "more than 6 dimensions"},
      {"negative offset", one(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})"), "-4"},
      {"begin after end", one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), "lies at"},
      {"out of range", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "w] lies at [0, 8) of 4 bytes"},
      {"wrong size", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), "f32 [2] does not fill 4 bytes"},
      {"gap in front", one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", 8), "gap"},
      {"bytes behind", one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})", 5), "1 bytes at the end"},
      {"overlap", file_bytes(fmt::format(R"({{"w":{},"v":{}}})", good, good), 4), "overlap"},
      {"metadata as text", file_bytes(R"({"__metadata__":"pt"})", 0), "__metadata__"},
      {"metadata number", file_bytes(R"({"__metadata__":{"a":1}})", 0), "\"a\" is 1, not a string"},
      {"metadata object", file_bytes(R"({"__metadata__":{"a":{}}})", 0), "not a string"},
      {"metadata twice", file_bytes(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "twice"},
  };
  for (const Hostile& hostile : cases) {
    const std::string message = safetensors_error(hostile.bytes);
    EXPECT_NE(message.find(hostile.says), std::string::npos) << hostile.name << ": " << message;
    EXPECT_NE(message.find("a.safetensors"), std::string::npos) << hostile.name;
  }
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  write_safetensors(folder_ / "a.safetensors",
                    {{"x", Tensor::from<float>({2}, {1, 2})}, {"y", Tensor::from<uint8_t>({1}, {1})}});
  const std::string whole = read_file(folder_ / "a.safetensors");
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(safetensors_error(whole.substr(0, length)), "") << length;
  EXPECT_EQ(safetensors_error(whole), "");
}

TEST_F(SafetensorsTest, RefusesAHeaderOver100Megabytes) {
  write_file(folder_ / "a.safetensors", file_bytes("{}", 0, 100'000'001));
  fs::resize_file(folder_ / "a.safetensors", 200'000'000);
  EXPECT_THROW(Safetensors(folder_ / "a.safetensors"), Error);
}

TEST_F(SafetensorsTest, CutsAbsurdNamesInMessages) {
  const std::string message = safetensors_error(file_bytes("{\"" + std::string(1 << 20, 'x') + "\":1}", 0));
  EXPECT_LT(message.size(), 1000U);
}

TEST_F(SafetensorsTest, MissingFileSaysSo) { EXPECT_THROW(Safetensors(folder_ / "none.safetensors"), Error); }

TEST_F(SafetensorsTest, RefusesToWriteNonsense) {
  const Tensor x = Tensor::zeros({1});
  const fs::path path = folder_ / "a.safetensors";
  EXPECT_THROW(write_safetensors(path, {{"x", x}, {"x", x}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"__metadata__", x}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"x", Tensor()}}), Error);
  EXPECT_THROW(write_safetensors(path, {{"\xff", x}}), Error);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SafetensorsTest, AFullDiskLeavesTheOldFile) {
  const fs::path disk = folder_ / "disk";
  fs::create_directories(disk);
  if (::geteuid() != 0 || ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "needs root, to mount a small disk";
  const fs::path path = disk / "a.safetensors";
  std::string message;
  try {
    write_safetensors(path, {{"x", Tensor::from<float>({1}, {3})}});
    write_safetensors(path, {{"x", Tensor::zeros({100'000})}});
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("free some disk space"), std::string::npos) << message;
  EXPECT_EQ(Safetensors(path).get("x").item<float>(), 3);
  EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
  ::umount2(disk.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace qkv
