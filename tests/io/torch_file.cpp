#include "qkv/io/torch_file.h"

#include "qkv/core/error.h"
#include "qkv/io/zip.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstring>

namespace qkv {
namespace {

// Files that PyTorch wrote: tests/io/torch_fixtures.py.
const fs::path fixtures = fs::path(QKV_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_torch";

class TorchFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-torch-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // An archive with this pickle and one storage "0" of 16 bytes.
  std::string archive(const std::string& pickle, const std::string& root = "archive") {
    ZipWriter zip(folder_ / "a.zip");
    zip.add(root + "/data.pkl", pickle);
    zip.add(root + "/data/0", std::string(16, '\0'));
    zip.commit();
    return read_file(folder_ / "a.zip");
  }
  fs::path folder_;
};

std::string torch_error(const std::string& bytes) {
  try {
    TorchFile(bytes, "a.bin");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user);
    return error.what();
  }
}

std::string integer(int64_t value) {
  std::string text("\x8a\x08", 2);
  text.append(reinterpret_cast<const char*>(&value), 8);
  return text;
}
std::string text(std::string_view value) {
  return "U" + std::string(1, static_cast<char>(value.size())) + std::string(value);
}
std::string tuple(const std::vector<int64_t>& values) {
  std::string all = "(";
  for (const int64_t value : values) all += integer(value);
  return all + "t";
}

struct DescribedStorage {
  std::string type = "ctorch\nFloatStorage\n";
  std::string key = "0";
  int64_t count = 4;
  int64_t offset = 0;
  std::vector<int64_t> shape = {2, 2};
  std::vector<int64_t> strides = {2, 1};
  std::string storage;  // instead of the one that type, key and count describe
};
std::string tensor(const DescribedStorage& d) {
  std::string id = "(" + text("storage") + d.type + text(d.key) + text("cpu") + integer(d.count) + "tQ";
  if (!d.storage.empty()) id = d.storage;
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + id + integer(d.offset) + tuple(d.shape) + tuple(d.strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}
std::string dictionary(const std::string& value) { return "\x80\x02}" + text("w") + value + "s."; }

void expect_all_types(const TorchFile& file) {
  const auto values = [&](const char* name) { return file.get(name).to_vector<double>(); };
  using Values = std::vector<double>;
  EXPECT_EQ(values("matrix"), (Values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(values("transposed"), (Values{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  EXPECT_EQ(file.shape("transposed"), (Shape{4, 3}));
  EXPECT_EQ(values("part"), (Values{3, 4, 6, 7}));
  EXPECT_EQ(values("scalar"), (Values{2.5}));
  EXPECT_EQ(file.shape("scalar").rank(), 0);
  EXPECT_EQ(file.shape("empty"), (Shape{0, 4}));
  EXPECT_EQ(values("empty"), Values{});
  EXPECT_EQ(values("half"), (Values{1.5, -2}));
  EXPECT_EQ(file.dtype("half"), DType::f16);
  EXPECT_EQ(values("bfloat"), (Values{1.5, -2}));
  EXPECT_EQ(file.dtype("bfloat"), DType::bf16);
  EXPECT_EQ(values("double"), (Values{0.1F, -2}));
  EXPECT_EQ(file.dtype("double"), DType::f32);
  EXPECT_EQ(values("long"), (Values{1099511627776, -1}));
  EXPECT_EQ(values("int"), (Values{7, -7}));
  EXPECT_EQ(values("short"), (Values{300, -300}));
  EXPECT_EQ(file.dtype("short"), DType::i32);
  EXPECT_EQ(values("char"), (Values{-128, 127}));
  EXPECT_EQ(values("byte"), (Values{0, 255}));
  EXPECT_EQ(values("bool"), (Values{1, 0}));
  EXPECT_EQ(values("parameter"), (Values{1, 2}));
  EXPECT_EQ(file.names().size(), 15U);
  EXPECT_EQ(file.names().front(), "matrix");
}

TEST_F(TorchFileTest, ReadsWhatPyTorchWrote) {
  for (const char* name : {"zip.bin", "legacy.bin"}) {
    SCOPED_TRACE(name);
    expect_all_types(TorchFile(fixtures / name));
    const std::string bytes = read_file(fixtures / name);
    expect_all_types(TorchFile(bytes, "a.bin"));
    expect_all_types(TorchFile(std::string_view(" " + bytes).substr(1), "askew.bin"));
  }
  EXPECT_EQ(TorchFile(fixtures / "wrapped.bin").get("a").to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_EQ(TorchFile(fixtures / "module.bin").get("weight").to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(TorchFileTest, SharedStoragesShareThePagesOfTheFile) {
  Tensor matrix, transposed;
  {
    const TorchFile file(fixtures / "zip.bin");
    matrix = file.get("matrix");
    transposed = file.get("transposed");
  }
  EXPECT_EQ(matrix.raw(), transposed.raw());
  EXPECT_EQ(transposed.strides(), (Shape{1, 4}));
  EXPECT_EQ(matrix.to_vector<float>()[11], 11);
}

TEST_F(TorchFileTest, WritesWhatItReads) {
  const Tensor matrix = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<NamedTensor> tensors = {{"ids", Tensor::from<int64_t>({2}, {-1, int64_t{1} << 40})},
                                            {"matrix", matrix},
                                            {"matrix.T", matrix.transpose(0, 1)},
                                            {"empty", Tensor::zeros({0, 4})},
                                            {"scalar", Tensor::from<float>({}, {7})},
                                            {"odd", Tensor::from<uint8_t>({3}, {1, 2, 255})},
                                            {"half", Tensor::zeros({3}, DType::bf16)}};
  write_torch_file(folder_ / "b.bin", lazily(tensors));
  const TorchFile file(folder_ / "b.bin");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"ids", "matrix", "matrix.T", "empty", "scalar", "odd", "half"}));
  for (const NamedTensor& tensor : tensors) {
    EXPECT_EQ(file.dtype(tensor.name), tensor.value.dtype());
    EXPECT_EQ(file.shape(tensor.name), tensor.value.shape());
    EXPECT_EQ(file.get(tensor.name).to_vector<double>(), tensor.value.to_vector<double>()) << tensor.name;
  }
  EXPECT_THROW(write_torch_file(folder_ / "c.bin", lazily({{"a", matrix}, {"a", matrix}})), Error);
  EXPECT_FALSE(fs::exists(folder_ / "c.bin"));
}

TEST_F(TorchFileTest, AnyRootFolderWillDo) {
  for (const char* root : {"archive", "pytorch_model", "a b", "x.y"})
    EXPECT_EQ(torch_error(archive(dictionary(tensor({})), root)), "") << root;
}

TEST_F(TorchFileTest, NothingRuns) {
  const fs::path proof = folder_ / "proof";
  const std::string call = "cos\nsystem\n(" + text("touch " + proof.string()) + "tR";
  for (const std::string& pickle :
       {dictionary(call), "\x80\x02" + call + ".", dictionary("cposix\nsystem\n"), dictionary("c__builtin__\neval\n"),
        dictionary("ctorch\nload\n"), dictionary("ctorch._utils\n_rebuild_tensor_v2\n(" + call + "tR")}) {
    const std::string error = torch_error(archive(pickle));
    EXPECT_NE(error.find("archive/data.pkl] the pickle's byte"), std::string::npos) << error;
    EXPECT_NE(error.find("which is not allowed"), std::string::npos) << error;
  }
  EXPECT_FALSE(fs::exists(proof));
}

TEST_F(TorchFileTest, RefusesTensorsThatLie) {
  const int64_t huge = int64_t{1} << 62;
  const auto expect = [&](const DescribedStorage& described, const char* says) {
    const std::string error = torch_error(archive(dictionary(tensor(described))));
    EXPECT_NE(error.find(says), std::string::npos) << says << ": " << error;
    EXPECT_NE(error.find("a.bin: w"), std::string::npos) << error;
  };
  EXPECT_EQ(torch_error(archive(dictionary(tensor({})))), "");
  expect({.count = 5}, "the file has 16 bytes");
  expect({.count = huge}, "the file has 16 bytes");
  expect({.key = "1"}, "which the file lacks");
  expect({.type = "ctorch\nDoubleStorage\n"}, "the file has 16 bytes");
  expect({.offset = 1}, "outside its storage");
  expect({.offset = huge}, "outside its storage");
  expect({.shape = {2, 3}}, "outside its storage");
  expect({.shape = {huge, huge}}, "outside its storage");
  expect({.strides = {huge, huge}}, "outside its storage");
  expect({.shape = {huge, 1}, .strides = {0, 0}}, "repeats elements");
  expect({.shape = {3, 3}, .strides = {0, 1}}, "repeats elements");
  expect({.shape = {0, huge, huge}, .strides = {0, 1, huge}}, "outside its storage");
  expect({.shape = {2}}, "strides");
  expect({.shape = {-2, 2}}, "no shape");
  expect({.strides = {-2, 1}}, "no strides");
  expect({.offset = -1}, "no offset");
  expect({.count = -1}, "no storage size");
  expect({.shape = {1, 1, 1, 1, 1, 1, 1}, .strides = {1, 1, 1, 1, 1, 1, 1}}, "7 dimensions");
  expect({.type = "ctorch\nSize\n"}, "no element type");
  expect({.type = "N"}, "no element type");
  expect({.storage = "N"}, "not a storage");
  expect({.storage = "NQ"}, "not a storage");
  expect({.storage = "(" + text("module") + "NNNNtQ"}, "not a storage");
  expect({.storage = "(" + text("storage") + "NNNK\x04tQ"}, "no key");
  EXPECT_EQ(torch_error(archive(dictionary(tensor({.shape = {0, 2}})))), "");
}

TEST_F(TorchFileTest, RefusesOtherThings) {
  const auto expect = [&](const std::string& bytes, const char* says) {
    EXPECT_NE(torch_error(bytes).find(says), std::string::npos) << says << ": " << torch_error(bytes);
  };
  expect("", "not a file that torch.save wrote");
  expect("PK", "too short");
  expect("sys_info and more of a tar archive", "PyTorch 0.1");
  expect("version https://git-lfs.github.com/spec/v1\n", "Git LFS");
  expect(archive("\x80\x02N."), "not a dictionary");
  expect(archive("\x80\x02}."), "no tensors");
  expect(archive("\x80\x02}K\x01" + tensor({}) + "s."), "name is not text");
  expect(archive("\x80\x02}(" + text("w") + tensor({}) + text("w") + tensor({}) + "u."), "twice");
  expect(archive(dictionary("ctorch._utils\n_rebuild_tensor_v2\n)R")), "described by 0 values");
  ZipWriter zip(folder_ / "b.zip");
  zip.add("a/data.pkl", "N.");
  zip.add("b/data.pkl", "N.");
  zip.commit();
  expect(read_file(folder_ / "b.zip"), "two pickles");
  ZipWriter big(folder_ / "c.zip");
  big.add("a/data.pkl", "N.");
  big.add("a/byteorder", "big");
  big.commit();
  expect(read_file(folder_ / "c.zip"), "byte order 'big'");
  ZipWriter script(folder_ / "d.zip");
  script.add("a/data.pkl", "N.");
  script.add("a/constants.pkl", "N.");
  script.commit();
  expect(read_file(folder_ / "d.zip"), "TorchScript");
  ZipWriter none(folder_ / "e.zip");
  none.add("a/readme", "N.");
  none.commit();
  expect(read_file(folder_ / "e.zip"), "without data.pkl");
}

TEST_F(TorchFileTest, CutOffOrChangedAnywhere) {
  for (const char* name : {"module.bin", "legacy.bin"}) {
    const std::string whole = read_file(fixtures / name);
    for (size_t size = 0; size < whole.size(); ++size) EXPECT_NE(torch_error(whole.substr(0, size)), "") << size;
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ 0x41);
      try {
        const TorchFile file(changed, "a.bin");
        for (const std::string& tensor : file.names()) file.get(tensor).to_vector<float>();
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace qkv
