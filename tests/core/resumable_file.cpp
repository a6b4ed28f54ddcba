#include "qkv/core/resumable_file.h"

#include "qkv/core/error.h"

#include <fmt/format.h>
#include <unistd.h>

namespace qkv {
namespace {

class Resumable : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
  fs::path folder = fs::temp_directory_path() / fmt::format("qkv-resumable-{}", ::getpid());
  fs::path target = folder / "out.txt";
};

TEST_F(Resumable, GoesOnWhereItWasSaved) {
  {
    ResumableFile file(target, {{"a", 1}}, false);
    EXPECT_TRUE(file.position().is_null());
    file.save("one\n", 1);
    file.save("two\n", 2);
  }
  EXPECT_FALSE(fs::exists(target));
  // What was written behind the last save is dropped.
  write_file(folder / "out.txt.unfinished", read_file(folder / "out.txt.unfinished") + "half a li");
  {
    ResumableFile file(target, {{"a", 1}}, true);
    EXPECT_EQ(file.position(), 2);
    file.save("three\n", 3);
    file.finish("ONE");
  }
  EXPECT_EQ(read_file(target), "ONE\ntwo\nthree\n");
  EXPECT_EQ(files(), 1U);
}

TEST_F(Resumable, RefusesOtherSettingsDamageAndHaste) {
  { ResumableFile(target, {{"a", 1}}, false).save("one\n", 1); }
  EXPECT_THROW(ResumableFile(target, {{"a", 1}}, false), Error);
  EXPECT_THROW(ResumableFile(target, {{"a", 2}}, true), Error);
  for (const char* state : {"", "[]", "{}", R"({"bytes": -1, "position": 1})", R"({"bytes": 5, "position": 1})",
                            R"({"bytes": "x", "position": 1})", R"({"bytes": 4})"}) {
    write_file(folder / "out.txt.unfinished.json", state);
    EXPECT_THROW(ResumableFile(target, {{"a", 1}}, true), Error) << state;
  }
  EXPECT_EQ(read_file(folder / "out.txt.unfinished"), "one\n");
}

TEST_F(Resumable, LeavesNothingOfAnEmptyRun) {
  { ResumableFile file(target, {}, false); }
  EXPECT_EQ(files(), 0U);
  EXPECT_THROW(ResumableFile(folder / "none" / "out.txt", {}, false), Error);
}

}  // namespace
}  // namespace qkv
