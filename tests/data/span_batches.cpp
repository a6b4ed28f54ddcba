#include "qkv/data/span_batches.h"

#include "tests/data/corpus.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace qkv {
namespace {

constexpr int32_t text_end = 1, span_mask = 2, first_sentinel = 10;

SpanOptions options(bool sentinels) {
  SpanOptions options{.rows = 2, .length = 21, .mask = span_mask, .end = text_end, .pad = pad, .key = {1, 0}};
  if (sentinels)
    for (int32_t i = 0; i < 5; ++i) options.sentinels.push_back(first_sentinel + i);
  return options;
}

std::vector<int32_t> numbered(int32_t count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), 100);
  return ids;
}

// Source and target together are the text again.
std::vector<int32_t> mended(const Corrupted& row) {
  std::vector<int32_t> ids;
  for (const int32_t id : row.source) {
    if (id >= 100) {
      ids.push_back(id);
      continue;
    }
    auto at = std::find(row.target.begin(), row.target.end(), id);
    EXPECT_NE(at, row.target.end());
    for (++at; at != row.target.end() && *at >= 100; ++at) ids.push_back(*at);
  }
  return ids;
}

TEST(Spans, TargetsTellWhatSourcesLack) {
  for (const int32_t n : {2, 3, 5, 20, 100}) {
    const std::vector<int32_t> ids = numbered(n);
    for (uint64_t i = 0; i < 50; ++i) {
      const Corrupted row = take_spans(ids, options(true), RandomKey{2, 0}.child(i));
      EXPECT_EQ(mended(row), ids);
      EXPECT_EQ(row.source[0], 100) << "the first token stays";
      const auto taken = std::count_if(row.target.begin(), row.target.end(), [](int32_t id) { return id >= 100; });
      EXPECT_EQ(taken, std::max<int64_t>(1, std::llround(0.15 * n)));
      // Sentinels come in their order, in both.
      int32_t next = first_sentinel;
      for (const int32_t id : row.source)
        if (id < 100) {
          EXPECT_EQ(id, next++);
        }
    }
  }
}

TEST(Spans, AMaskForEachSpanAndTheWholeText) {
  const std::vector<int32_t> ids = numbered(40);
  const Corrupted row = take_spans(ids, options(false), {3, 0});
  EXPECT_EQ(row.target, ids);
  EXPECT_EQ(std::count(row.source.begin(), row.source.end(), span_mask), 2);
  EXPECT_EQ(row.source.size(), 40U - 6 + 2);
}

TEST(Spans, DifferentEachTimeAndTheSameAgain) {
  const std::vector<int32_t> ids = numbered(60);
  std::set<std::vector<int32_t>> seen;
  for (uint64_t i = 0; i < 20; ++i) seen.insert(take_spans(ids, options(true), RandomKey{2, 0}.child(i)).source);
  EXPECT_GT(seen.size(), 15U);
  EXPECT_EQ(take_spans(ids, options(true), {5, 6}).source, take_spans(ids, options(true), {5, 6}).source);
}

class SpanBatchesTest : public CorpusTest {
 protected:
  TokenStream documents(const std::vector<int64_t>& lengths) {
    const fs::path path = folder_ / "documents.tokens";
    TokenFileWriter writer(path, 1000, -1);
    for (const int64_t length : lengths) {
      writer.begin_document();
      writer.add(numbered(static_cast<int32_t>(length)));
    }
    writer.commit({});
    return TokenStream(path);
  }
};

TEST_F(SpanBatchesTest, RowsAreSegmentsWithTheirEnds) {
  SpanOptions o = options(true);
  o.visit = Visit::in_turn;
  const SpanBatches batches(documents({45, 1, 9}), o);  // 20 + 20 + 5, nothing, 9
  EXPECT_EQ(batches.count(), 2);
  int64_t targets = 0;
  for (int64_t n = 0; n < batches.count(); ++n) {
    const Batch batch = batches.batch(n);
    ASSERT_EQ(std::ssize(batch.input_ids), batch.rows * batch.length);
    ASSERT_EQ(std::ssize(batch.labels), batch.rows * batch.target_length);
    for (int64_t r = 0; r < batch.rows; ++r) {
      const auto begin = batch.labels.begin() + r * batch.target_length;
      const auto last = std::find(begin, begin + batch.target_length, text_end);
      ASSERT_NE(last, begin + batch.target_length);
      EXPECT_TRUE(std::all_of(last + 1, begin + batch.target_length, [](int32_t id) { return id == ignored_label; }));
      targets += last - begin + 1;
    }
    EXPECT_EQ(batch.target_count,
              std::count_if(batch.labels.begin(), batch.labels.end(), [](int32_t id) { return id != ignored_label; }));
    targets -= batch.target_count;
  }
  EXPECT_EQ(targets, 0);
  EXPECT_THROW(batches.batch(2), Error);
}

TEST_F(SpanBatchesTest, TooLittleTextIsAnError) {
  EXPECT_THROW(SpanBatches(documents({1, 1}), options(true)), Error);
  SpanOptions o = options(true);
  o.length = 2;
  EXPECT_THROW(SpanBatches(documents({9}), o), Error);
}

}  // namespace
}  // namespace qkv
