// Loops on several threads: each item once, the same split each time, exceptions that arrive.
#include "qkv/core/threads.h"

#include "qkv/core/error.h"
#include "qkv/core/progress.h"
#include "tests/core/with_threads.h"

#include <atomic>
#include <mutex>
#include <set>
#include <utility>

namespace qkv {
namespace {

class ThreadsTest : public testing::Test {
  const WithThreads four_{4};
};

using Ranges = std::set<std::pair<int64_t, int64_t>>;

Ranges ranges_of(int64_t count, int64_t grain) {
  Ranges ranges;
  std::mutex mutex;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace(begin, end);
  });
  return ranges;
}

TEST_F(ThreadsTest, EveryItemExactlyOnce) {
  for (const int64_t count : {1, 2, 3, 4, 5, 7, 100, 1001}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    for (const auto& n : visits) EXPECT_EQ(n, 1) << count;
  }
}

TEST_F(ThreadsTest, NothingToDoCallsNothing) {
  EXPECT_TRUE(ranges_of(0, 1).empty());
  EXPECT_TRUE(ranges_of(-5, 1).empty());
}

TEST_F(ThreadsTest, NoRangeIsShorterThanTheGrain) {
  EXPECT_EQ(ranges_of(100, 1000), (Ranges{{0, 100}}));
  EXPECT_EQ(ranges_of(100, 50), (Ranges{{0, 50}, {50, 100}}));
  for (const auto& [begin, end] : ranges_of(1003, 300)) EXPECT_GE(end - begin, 300);
  EXPECT_EQ(ranges_of(8, 0).size(), 4U);
}

TEST_F(ThreadsTest, TheSameSplitEachTime) {
  const Ranges first = ranges_of(1001, 10);
  EXPECT_EQ(first.size(), 4U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ranges_of(1001, 10), first);
}

TEST_F(ThreadsTest, NestedLoopsRunSeriallyAndSeeOneThread) {
  std::atomic<int> inner{0};
  std::atomic<int64_t> items{0};
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(threads(), 1);
    for (int64_t i = begin; i < end; ++i)
      parallel_for(100, 1, [&](int64_t from, int64_t to) {
        ++inner;
        items += to - from;
      });
  });
  EXPECT_EQ(inner, 8);
  EXPECT_EQ(items, 800);
  EXPECT_EQ(threads(), 4);
}

TEST_F(ThreadsTest, AnExceptionArrivesOnceTheOtherRangesEnded) {
  std::atomic<int> ended{0};
  const auto run = [&] {
    parallel_for(4, 1, [&](int64_t begin, int64_t) {
      if (begin == 2) throw Error("range 2", "fails");
      ++ended;
    });
  };
  EXPECT_THROW(run(), Error);
  EXPECT_EQ(ended, 3);
}

TEST_F(ThreadsTest, ManyExceptionsAreOneAndTheNextLoopWorks) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_THROW(parallel_for(100, 1, [](int64_t, int64_t) { throw Error("all", "fail"); }), Error);
    EXPECT_EQ(threads(), 4);
    EXPECT_EQ(ranges_of(100, 1).size(), 4U);
  }
}

TEST_F(ThreadsTest, AnExceptionOfANestedLoopArrivesToo) {
  const auto run = [] {
    parallel_for(4, 1,
                 [](int64_t, int64_t) { parallel_for(4, 1, [](int64_t, int64_t) { throw Error("inner", "fails"); }); });
  };
  EXPECT_THROW(run(), Error);
}

TEST_F(ThreadsTest, CountsBelowOneMeanOne) {
  set_threads(0);
  EXPECT_EQ(threads(), 1);
  EXPECT_EQ(ranges_of(100, 1), (Ranges{{0, 100}}));
}

TEST_F(ThreadsTest, ProgressMayBeToldFromEveryThread) {
  std::atomic<int64_t> done{0};
  testing::internal::CaptureStderr();
  {
    Progress progress("counting", 1000, "items");
    parallel_for(1000, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) progress.update(++done, "a note");
    });
    progress.update(1000);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("counting 100 %  1000/1000 items"), std::string::npos) << text;
}

TEST(Progress, CountsInThreeDigits) {
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(short_count(999), "999");
  EXPECT_EQ(short_count(1234), "1.23k");
  EXPECT_EQ(short_count(12345), "12.3k");
  EXPECT_EQ(short_count(999600), "1.00M");
  EXPECT_EQ(short_count(3.4e9), "3.40G");
}

TEST(Progress, TimesInTheUnitThatFits) {
  EXPECT_EQ(short_time(0.2), "0 s");
  EXPECT_EQ(short_time(59.4), "59 s");
  EXPECT_EQ(short_time(200), "3 min 20 s");
  EXPECT_EQ(short_time(7500), "2 h 05 min");
}

}  // namespace
}  // namespace qkv
