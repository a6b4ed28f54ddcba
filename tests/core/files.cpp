// Files: whole or not at all, also when the disk is full or the place is not ours.
#include "qkv/core/files.h"

#include "qkv/core/error.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

namespace qkv {
namespace {

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("qkv-files-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  int count() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  template <typename Body>
  std::string error_of(Body&& body) const {
    try {
      body();
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::user);
      return error.what();
    }
  }
  void expect_says(const std::string& text, const std::string& part) const {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  fs::path folder_;
};

// Files of this process cannot grow beyond so many bytes while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_F(FilesTest, WritesAndReadsBack) {
  const fs::path path = folder_ / "a";
  for (const std::string& text : {std::string(), std::string("x"), std::string(200'000, 'y'), std::string("\0\n", 2)}) {
    write_file(path, text);
    EXPECT_EQ(read_file(path), text);
    EXPECT_EQ(MappedFile(path).text(), text);
    EXPECT_EQ(count(), 1);
  }
}

TEST_F(FilesTest, AMappedFileMoves) {
  write_file(folder_ / "a", "words");
  MappedFile first(folder_ / "a");
  MappedFile second = std::move(first);
  EXPECT_EQ(second.text(), "words");
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.text(), "words");
  EXPECT_EQ(third.path(), folder_ / "a");
}

TEST_F(FilesTest, WithoutCommitTheOldFileStays) {
  write_file(folder_ / "a", "old");
  {
    AtomicFile file(folder_ / "a");
    file.write("new");
    EXPECT_EQ(read_file(folder_ / "a"), "old");
  }
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1);
}

TEST_F(FilesTest, APrivateFileStaysPrivate) {
  write_file(folder_ / "a", "old");
  const fs::perms own = fs::perms::owner_read | fs::perms::owner_write;
  fs::permissions(folder_ / "a", own);
  write_file(folder_ / "a", "new");
  EXPECT_EQ(fs::status(folder_ / "a").permissions(), own);
  EXPECT_EQ(read_file(folder_ / "a"), "new");
}

TEST_F(FilesTest, AFileThatCannotGrowLeavesTheOldOne) {
  write_file(folder_ / "a", "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = error_of([&] { write_file(folder_ / "a", std::string(5000, 'x')); });
  }
  expect_says(message, (folder_ / "a").string() + "] cannot write: File too large");
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1);
}

TEST_F(FilesTest, AFullDiskLeavesTheOldFile) {
  if (::geteuid() != 0 || ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "needs root, to mount a small disk";
  write_file(folder_ / "a", "old");
  const std::string message = error_of([&] { write_file(folder_ / "a", std::string(200'000, 'x')); });
  EXPECT_EQ(read_file(folder_ / "a"), "old");
  EXPECT_EQ(count(), 1);
  ::umount2(folder_.c_str(), MNT_DETACH);
  expect_says(message, "cannot write: No space left on device");
  expect_says(message, "try: free some disk space");
}

TEST_F(FilesTest, ADirectoryThatIsNotOursSaysSo) {
  // A process file system takes no new files from anybody, root included.
  const std::string message = error_of([] { write_file("/proc/qkv-test", "x"); });
  expect_says(message, "/proc/qkv-test] cannot create: ");
  fs::create_directories(folder_ / "locked");
  fs::permissions(folder_ / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const std::string denied = error_of([&] { write_file(folder_ / "locked" / "a", "x"); });
  fs::permissions(folder_ / "locked", fs::perms::owner_all);
  expect_says(denied, "cannot create: Permission denied");
  expect_says(denied, "try: choose a place you may write to");
}

TEST_F(FilesTest, ATargetThatIsAFolderIsNotReplaced) {
  fs::create_directories(folder_ / "a");
  expect_says(error_of([&] { write_file(folder_ / "a", "x"); }), "cannot write: Is a directory");
  EXPECT_EQ(count(), 1);
}

TEST_F(FilesTest, ReadingWhatIsNotThere) {
  expect_says(error_of([&] { read_file(folder_ / "none"); }), "none] cannot open: No such file or directory");
  expect_says(error_of([&] { MappedFile{folder_ / "none"}; }), "try: check the spelling of the path");
  expect_says(error_of([&] { read_file(folder_); }), "cannot read: Is a directory");
  expect_says(error_of([&] { MappedFile{folder_}; }), "cannot read: Is a directory");
}

TEST_F(FilesTest, ReadingIsBounded) {
  write_file(folder_ / "a", "12345");
  EXPECT_EQ(read_file(folder_ / "a", 5), "12345");
  expect_says(error_of([&] { read_file(folder_ / "a", 4); }), "larger than the 4 bytes");
  expect_says(error_of([] { read_file("/dev/zero", 100'000); }), "larger than the 100000 bytes");
}

TEST_F(FilesTest, SymbolicLinksAreReplacedNotFollowed) {
  write_file(folder_ / "real", "real");
  fs::create_symlink(folder_ / "real", folder_ / "link");
  write_file(folder_ / "link", "new");
  EXPECT_EQ(read_file(folder_ / "real"), "real");
  EXPECT_EQ(read_file(folder_ / "link"), "new");
}

}  // namespace
}  // namespace qkv
