#include "qkv/io/checkpoint.h"

#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/safetensors.h"

#include <gtest/gtest.h>

#include <sys/mount.h>
#include <unistd.h>

#include <set>

namespace qkv {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-checkpoint-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename().string());
    return names;
  }
  std::string error() const {
    try {
      Checkpoint{folder_};
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::user);
      return error.what();
    }
  }
  fs::path folder_;
};

// Four tensors of 8 bytes whose values tell which save they come from.
std::vector<NamedTensor> four(float save) {
  std::vector<NamedTensor> tensors;
  for (const char* name : {"a", "b", "c", "d"}) tensors.push_back({name, Tensor::from<float>({2}, {save, 0})});
  return tensors;
}

void expect_four(const fs::path& folder, float save) {
  const Checkpoint checkpoint(folder);
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b", "c", "d"}));
  for (const std::string& name : checkpoint.names())
    EXPECT_EQ(checkpoint.get(name).to_vector<float>(), (std::vector<float>{save, 0})) << name;
}

TEST_F(CheckpointTest, OneFile) {
  write_checkpoint(folder_, four(1));
  EXPECT_EQ(files(), (std::set<std::string>{"model.safetensors"}));
  expect_four(folder_, 1);
}

TEST_F(CheckpointTest, ShardsWithTheirIndex) {
  write_checkpoint(folder_, four(1), 16);
  EXPECT_EQ(files(), (std::set<std::string>{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                            "model.safetensors.index.json"}));
  expect_four(folder_, 1);
  const Json index = read_json(folder_ / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], 32);
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
  EXPECT_EQ(Checkpoint(folder_).shape("a"), (Shape{2}));
  EXPECT_EQ(Checkpoint(folder_).dtype("a"), DType::f32);
}

TEST_F(CheckpointTest, PyTorchsFilesWholeAndInShards) {
  write_checkpoint(folder_, lazily(four(1)), {.format = WeightFormat::torch, .progress = {}});
  EXPECT_EQ(files(), (std::set<std::string>{"pytorch_model.bin"}));
  expect_four(folder_, 1);
  uint64_t written = 0;
  write_checkpoint(folder_, lazily(four(2)), {WeightFormat::torch, 16, [&](uint64_t bytes) { written += bytes; }});
  EXPECT_EQ(written, 32U);
  EXPECT_EQ(files(), (std::set<std::string>{"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
                                            "pytorch_model.bin.index.json"}));
  expect_four(folder_, 2);
}

TEST_F(CheckpointTest, NoFormatIsLeftThatReadersWouldPrefer) {
  for (const uint64_t shard : {100, 16}) {
    write_checkpoint(folder_, four(1), shard);
    write_checkpoint(folder_, lazily(four(2)), {WeightFormat::torch, 16, {}});
    expect_four(folder_, 2);
    write_checkpoint(folder_, four(3), shard);  // PyTorch's files stay, as readers look for these first
    expect_four(folder_, 3);
    EXPECT_TRUE(files().count("pytorch_model.bin.index.json"));
  }
}

TEST_F(CheckpointTest, ATensorLargerThanAShardStandsAlone) {
  write_checkpoint(folder_, four(1), 1);
  EXPECT_EQ(files().size(), 5U);
  expect_four(folder_, 1);
}

TEST_F(CheckpointTest, LaterSavesReplaceEarlierOnes) {
  write_file(folder_ / "model-00001-of-00009.safetensors.77.partial", "what a killed save left");
  write_file(folder_ / "config.json", "{}");
  float save = 0;
  for (const uint64_t shard : {100, 16, 16, 8, 100, 16, 16, 16}) {
    write_checkpoint(folder_, four(++save), shard);
    expect_four(folder_, save);
    EXPECT_EQ(files().size(), (shard == 100 ? 1 : 32 / shard + 1) + 1) << save;
  }
  EXPECT_TRUE(files().count("config.json"));
}

TEST_F(CheckpointTest, ASaveMayReadFromTheFilesItReplaces) {
  write_checkpoint(folder_, four(1));
  const Checkpoint old(folder_);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : old.names()) tensors.push_back({name, old.get(name)});
  write_checkpoint(folder_, tensors, 16);
  expect_four(folder_, 1);
}

TEST_F(CheckpointTest, AFullDiskKeepsTheOldWeights) {
  if (::geteuid() != 0 || ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "needs root, to mount a small disk";
  write_checkpoint(folder_, four(1), 16);
  std::vector<NamedTensor> large;
  for (const char* name : {"a", "b", "c"}) large.push_back({name, Tensor::zeros({25'000})});
  EXPECT_THROW(write_checkpoint(folder_, large, 100'000), Error);
  EXPECT_EQ(files().size(), 3U);
  expect_four(folder_, 1);
  ::umount2(folder_.c_str(), MNT_DETACH);
}

TEST_F(CheckpointTest, SaysWhatIsMissing) {
  EXPECT_NE(error().find("has no model.safetensors, no pytorch_model.bin"), std::string::npos);
  write_file(folder_ / "pytorch_model.bin", "PK");
  EXPECT_NE(error().find("too short for a zip archive"), std::string::npos);
  fs::remove(folder_ / "pytorch_model.bin");
  write_file(folder_ / "pytorch_model.bin.index.json", "{}");
  EXPECT_NE(error().find("weight_map"), std::string::npos);
  write_file(folder_ / "pytorch_model.bin", "PK");
  EXPECT_THROW(Checkpoint(folder_ / "none"), Error);
  EXPECT_THROW(Checkpoint(folder_ / "pytorch_model.bin"), Error);
}

TEST_F(CheckpointTest, RefusesAnIndexThatLies) {
  const auto error_with = [&](const std::string& index) {
    write_file(folder_ / "model.safetensors.index.json", index);
    return error();
  };
  const auto expect = [&](const std::string& index, const char* says) {
    EXPECT_NE(error_with(index).find(says), std::string::npos) << index << ": " << error();
  };
  write_safetensors(folder_ / "one.safetensors", {{"a", Tensor::zeros({2})}});
  write_file(folder_ / "broken.safetensors", "12345678");
  EXPECT_EQ(error_with(R"({"weight_map": {"a": "one.safetensors"}})"), "");
  expect("", "not valid JSON");
  expect("[]", "weight_map");
  expect(R"({"weight_map": []})", "weight_map");
  expect(R"({"weight_map": {"a": 1}})", "mapped to no file");
  for (const char* name : {"../one.safetensors", "/etc/passwd", "", ".", "..", "x/one.safetensors", "one\\u0000"})
    expect(fmt::format(R"({{"weight_map": {{"a": "{}"}}}})", name), "beside the index");
  expect(R"({"weight_map": {"b": "one.safetensors"}})", "does not hold it");
  expect(R"({"weight_map": {"a": "two.safetensors", "b": "three.safetensors", "c": "one.safetensors"}})",
         "2 of 3 shards that are not there: three.safetensors, two.safetensors");
  expect(R"({"weight_map": {"a": "broken.safetensors"}})", "broken.safetensors] says its header is");
}

TEST_F(CheckpointTest, SuggestsTheNearestName) {
  write_checkpoint(folder_, {{"wte.weight", Tensor::zeros({2})}});
  try {
    Checkpoint(folder_).get("wte.wieght");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("wte.weight"), std::string::npos);
  }
}

}  // namespace
}  // namespace qkv
