#include "qkv/io/zip.h"

#include "qkv/core/error.h"

#include <gtest/gtest.h>

#include <unistd.h>

namespace qkv {
namespace {

class ZipTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  std::string archive(const std::vector<std::pair<std::string, std::string>>& entries) {
    ZipWriter zip(path_);
    for (const auto& [name, bytes] : entries) zip.add(name, bytes);
    zip.commit();
    return read_file(path_);
  }
  fs::path path_ = fs::temp_directory_path() / fmt::format("qkv-zip-{}.zip", ::getpid());
};

std::string zip_error(const std::string& archive) {
  try {
    read_zip(archive, "a.zip");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::user);
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
}

// Replaces the first occurrence behind `after`.
std::string with(std::string text, const std::string& old, const std::string& put, size_t after = 0) {
  const size_t at = text.find(old, after);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, old.size(), put);
}

TEST_F(ZipTest, WritesWhatItReads) {
  const std::string bytes = archive({{"r/one", "1"}, {"r/data/0", std::string(100, 'x')}, {"r/none", ""}});
  const auto entries = read_zip(bytes, "a.zip");
  EXPECT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries.at("r/one"), "1");
  EXPECT_EQ(entries.at("r/data/0"), std::string(100, 'x'));
  EXPECT_EQ(entries.at("r/none"), "");
  for (const auto& [name, view] : entries) EXPECT_EQ((view.data() - bytes.data()) % 64, 0) << name;
}

TEST_F(ZipTest, FindsTheDirectoryBeforeAComment) {
  std::string bytes = archive({{"a", "1"}});
  bytes[bytes.size() - 2] = 3;
  EXPECT_EQ(read_zip(bytes + "PK!", "a.zip").size(), 1U);
  EXPECT_NE(zip_error(bytes + "PK").find("no zip directory"), std::string::npos);
}

TEST_F(ZipTest, CutOffAnywhereIsRefused) {
  const std::string bytes = archive({{"a", "1"}, {"b", "22"}});
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_NE(zip_error(bytes.substr(0, size)), "") << size;
}

TEST_F(ZipTest, AnyByteChangedIsReadOrRefused) {
  const std::string bytes = archive({{"a", "1"}, {"b", "22"}});
  for (size_t i = 0; i < bytes.size(); ++i)
    for (const int change : {1, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ change);
      zip_error(changed);
    }
}

TEST_F(ZipTest, RefusesWhatLies) {
  const std::string good = archive({{"aa", "1"}, {"bb", "22"}});
  const size_t directory = good.find("PK\1\2");
  const std::string entry = good.substr(directory, 46);
  const auto changed_entry = [&](size_t at, const std::string& put) {
    return with(good, entry, std::string(entry).replace(at, put.size(), put), directory);
  };
  EXPECT_NE(zip_error(changed_entry(10, std::string("\x08\0", 2))).find("compressed (method 8)"), std::string::npos);
  EXPECT_NE(zip_error(changed_entry(8, "\x01")).find("encrypted"), std::string::npos);
  EXPECT_NE(zip_error(changed_entry(20, std::string("\1\0\0\0", 4))).find("a.zip"), std::string::npos);
  EXPECT_NE(zip_error(with(good, "bb", "aa", directory)).find("another name"), std::string::npos);
  const std::string twice = with(with(good, "bb", "aa", directory), "bb", "aa");
  EXPECT_NE(zip_error(twice).find("twice"), std::string::npos);
  EXPECT_NE(zip_error(with(good, "PK\6\6", "PK\6\5")).find("points at something else"), std::string::npos);
  EXPECT_NE(zip_error(with(good, "PK\1\2", "PK\1\1", directory)).find("where an entry belongs"), std::string::npos);
  EXPECT_NE(zip_error(with(good, "PK\3\4", "PK\3\3")).find("no header"), std::string::npos);
  EXPECT_NE(zip_error("not a zip archive, but long enough to be one").find("no zip directory"), std::string::npos);
  EXPECT_NE(zip_error("PK").find("too short"), std::string::npos);
}

TEST_F(ZipTest, RefusesEntriesThatShareBytes) {
  const std::string good = archive({{"aa", std::string(64, 'a')}, {"bb", std::string(64, 'b')}});
  // Both entries of the directory say 256 bytes: the first runs into the second.
  std::string bad = good;
  const std::string size("\x40\0\0\0\0\0\0\0", 8);
  const std::string larger("\x60\1\0\0\0\0\0\0", 8);
  for (int i = 0; i < 2; ++i) bad = with(bad, size, larger, bad.find("PK\1\2"));
  EXPECT_NE(zip_error(bad).find("overlap"), std::string::npos) << zip_error(bad);
}

}  // namespace
}  // namespace qkv
