// Copies by way of pinned memory, on a device that does them as late as it may.
#include "qkv/cuda/staged_copies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

namespace qkv::cuda {
namespace {

class LateDriver : public StagedCopies::Driver {
 public:
  void* pinned(size_t bytes) override {
    memory_.emplace_back(bytes);
    return memory_.back().data();
  }
  void copy(void* to, const void* from, size_t bytes) override {
    work_.emplace_back([=] { std::memcpy(to, from, bytes); });
  }
  void fetch(void* to, const void* from, size_t bytes) override { copy(to, from, bytes); }
  void mark(int piece) override { marks_[piece] = done_ + work_.size(); }
  void wait(int piece) override {
    for (; done_ < marks_[piece]; ++done_) {
      work_.front()();
      work_.pop_front();
    }
  }
  void finish() {
    for (; !work_.empty(); work_.pop_front(), ++done_) work_.front()();
  }
  size_t pending() const { return work_.size(); }

 private:
  std::deque<std::vector<char>> memory_;
  std::deque<std::function<void()>> work_;
  size_t done_ = 0;
  size_t marks_[StagedCopies::marks] = {};
};

TEST(StagedCopies, TheSourceMayChangeAtOnce) {
  LateDriver driver;
  StagedCopies copies(driver);
  constexpr size_t bytes = 100003;  // several a piece, and a rest
  constexpr int count = 137;
  std::vector<std::vector<char>> arrived(count, std::vector<char>(bytes));
  std::vector<char> source(bytes);
  for (int i = 0; i < count; ++i) {
    std::fill(source.begin(), source.end(), static_cast<char>(i));
    ASSERT_TRUE(copies.copy(arrived[static_cast<size_t>(i)].data(), source.data(), bytes));
  }
  EXPECT_GT(driver.pending(), 20U);  // nothing is waited for but a piece's last use
  driver.finish();
  for (int i = 0; i < count; ++i)
    EXPECT_EQ(arrived[static_cast<size_t>(i)], std::vector<char>(bytes, static_cast<char>(i)));
}

TEST(StagedCopies, OfAWholePieceAndNoMore) {
  LateDriver driver;
  StagedCopies copies(driver);
  std::vector<char> source(StagedCopies::piece_bytes + 1, 'x'), first(source.size()), second(source.size());
  EXPECT_TRUE(copies.copy(first.data(), source.data(), StagedCopies::piece_bytes));
  EXPECT_TRUE(copies.copy(second.data(), source.data(), StagedCopies::piece_bytes));
  EXPECT_FALSE(copies.copy(first.data(), source.data(), source.size()));
  driver.finish();
  EXPECT_EQ(first[StagedCopies::piece_bytes - 1], 'x');
  EXPECT_EQ(second[0], 'x');
}

TEST(StagedCopies, ReadWhatIsThereByThen) {
  for (const size_t bytes : {size_t{0}, size_t{1}, StagedCopies::piece_bytes, 9 * StagedCopies::piece_bytes + 5}) {
    LateDriver driver;
    StagedCopies copies(driver);
    std::vector<char> device(bytes), source(bytes), read(bytes);
    for (size_t i = 0; i < bytes; ++i) source[i] = static_cast<char>(i * 7 + i / 1000);
    for (size_t i = 0; i < bytes; i += StagedCopies::piece_bytes)
      ASSERT_TRUE(copies.copy(device.data() + i, source.data() + i, std::min(StagedCopies::piece_bytes, bytes - i)));
    ASSERT_TRUE(copies.read(read.data(), device.data(), bytes));
    EXPECT_EQ(read, source);
  }
}

TEST(StagedCopies, NotWithoutPinnedMemory) {
  struct None : LateDriver {
    void* pinned(size_t) override { return nullptr; }
  } driver;
  StagedCopies copies(driver);
  char from = 1, to = 0;
  EXPECT_FALSE(copies.copy(&to, &from, 1));
  EXPECT_FALSE(copies.read(&to, &from, 1));
}

}  // namespace
}  // namespace qkv::cuda
