#include "qkv/data/masked_batches.h"

#include "tests/data/corpus.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace qkv {
namespace {

constexpr int32_t mask = 3;
constexpr int64_t vocabulary_size = 1000;

Masking masking() {
  Masking result{.mask_id = mask, .vocabulary = vocabulary_size};
  result.special.assign(vocabulary_size, 0);
  for (const int32_t id : {pad, cls, sep, mask}) result.special[static_cast<size_t>(id)] = 1;
  return result;
}

class MaskedBatchesTest : public CorpusTest {
 protected:
  static MaskedOptions options(int64_t rows, int64_t length) {
    return {.rows = rows, .length = length, .cls = cls, .sep = sep, .pad = pad, .masking = masking(), .key = {1, 0}};
  }
  // Documents of ordinary tokens: token = 10 + document, or by position.
  TokenStream documents(const std::vector<int64_t>& lengths) {
    const fs::path path = folder_ / "documents.tokens";
    TokenFileWriter writer(path, vocabulary_size, -1);
    for (size_t d = 0; d < lengths.size(); ++d) {
      writer.begin_document();
      writer.add(std::vector<int32_t>(static_cast<size_t>(lengths[d]), static_cast<int32_t>(10 + d)));
    }
    writer.commit({});
    return TokenStream(path);
  }
  // The row before it was corrupted.
  static std::vector<int32_t> original(const Batch& batch, int64_t row) {
    std::vector<int32_t> ids;
    for (int64_t t = 0; t < batch.length; ++t) {
      const size_t i = static_cast<size_t>(row * batch.length + t);
      ids.push_back(batch.labels[i] == ignored_label ? batch.input_ids[i] : batch.labels[i]);
    }
    return ids;
  }
};

TEST(Masking, KeepsBertsProportions) {
  int64_t chosen = 0, masked = 0, kept = 0, replaced = 0, tokens = 0;
  std::vector<int> at(100);
  for (uint64_t n = 0; n < 2000; ++n) {
    std::vector<int32_t> ids(100, 500), labels(100);
    ids[0] = cls;
    ids[99] = sep;
    const int64_t count = corrupt(ids, labels, masking(), RandomKey{1, 0}.child(n));
    EXPECT_EQ(count, 15);  // of 98, rounded
    for (size_t t = 0; t < 100; ++t) {
      if (labels[t] == ignored_label) {
        EXPECT_EQ(ids[t], t == 0 ? cls : t == 99 ? sep : 500);
        continue;
      }
      EXPECT_EQ(labels[t], 500);
      at[t] += 1;
      chosen += 1;
      masked += ids[t] == mask;
      kept += ids[t] == 500;
      replaced += ids[t] != mask && ids[t] != 500;
    }
    tokens += 98;
  }
  EXPECT_EQ(at[0] + at[99], 0);
  // 30,000 draws: five standard deviations are 0.0115 at 0.8 and 0.0087 at 0.1.
  const double all = static_cast<double>(chosen);
  EXPECT_NEAR(all / static_cast<double>(tokens), 0.15, 0.005);
  EXPECT_NEAR(static_cast<double>(masked) / all, 0.8, 0.0115);
  EXPECT_NEAR(static_cast<double>(replaced) / all, 0.1, 0.0087);
  EXPECT_NEAR(static_cast<double>(kept) / all, 0.1, 0.0087);
  for (size_t t = 1; t < 99; ++t) EXPECT_NEAR(at[t], 306, 85) << t;
}

TEST(Masking, IsAFunctionOfItsKey) {
  const auto run = [](uint64_t key) {
    std::vector<int32_t> ids(64), labels(64);
    std::iota(ids.begin(), ids.end(), 100);
    corrupt(ids, labels, masking(), {1, key});
    return ids;
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(Masking, ChoosesAtLeastOneTokenButNoSpecialOne) {
  std::vector<int32_t> ids = {cls, 50, sep}, labels(3);
  EXPECT_EQ(corrupt(ids, labels, masking(), {}), 1);
  EXPECT_EQ(labels, (std::vector<int32_t>{ignored_label, 50, ignored_label}));
  ids = {cls, sep, pad};
  EXPECT_EQ(corrupt(ids, labels, masking(), {}), 0);
  EXPECT_EQ(ids, (std::vector<int32_t>{cls, sep, pad}));
}

TEST(Masking, TakesWholeWords) {
  Masking whole = masking();
  whole.masked = 1;
  whole.continues.assign(vocabulary_size, 0);
  std::fill(whole.continues.begin() + 500, whole.continues.end(), 1);
  for (uint64_t n = 0; n < 200; ++n) {
    // Words of one, two and three pieces; the piece behind [SEP] begins a word, whatever it looks like.
    std::vector<int32_t> ids = {cls}, labels;
    for (int word = 0; word < 10; ++word)
      for (int piece = 0; piece <= word % 3; ++piece) ids.push_back((piece > 0 ? 500 : 100) + word);
    ids.insert(ids.end(), {sep, 700, sep});
    labels.resize(ids.size());
    const std::vector<int32_t> before = ids;
    const int64_t chosen = corrupt(ids, labels, whole, RandomKey{2, 0}.child(n));
    EXPECT_EQ(chosen, 3);  // of 20: the words of one piece fill up what longer ones leave
    for (size_t t = 1; t + 1 < ids.size(); ++t) {
      const bool same_word = before[t] >= 500 && before[t - 1] != sep && before[t] != sep;
      EXPECT_TRUE(!same_word || (labels[t] == ignored_label) == (labels[t - 1] == ignored_label));
    }
  }
}

TEST_F(MaskedBatchesTest, RowsAreSegmentsOfOneDocument) {
  const MaskedBatches batches(documents({3, 25, 10}), options(2, 12));
  EXPECT_EQ(batches.count(), 3);  // 1 + 3 + 1 segments of at most 10 tokens
  std::map<int32_t, int64_t> tokens;
  for (int64_t n = 0; n < 5; ++n) {
    MaskedOptions single = options(1, 12);
    const Batch batch = MaskedBatches(documents({3, 25, 10}), single).batch(n);
    const std::vector<int32_t> ids = original(batch, 0);
    const size_t end = static_cast<size_t>(std::find(ids.begin(), ids.end(), sep) - ids.begin());
    ASSERT_LT(end, ids.size());
    EXPECT_EQ(ids[0], cls);
    for (size_t t = 1; t < end; ++t) EXPECT_EQ(ids[t], ids[1]);
    tokens[ids[1]] += static_cast<int64_t>(end) - 1;
    for (size_t t = end + 1; t < ids.size(); ++t) EXPECT_EQ(ids[t], pad);
    for (size_t t = 0; t < ids.size(); ++t)
      EXPECT_EQ(batch.attention_mask.empty() ? 1 : batch.attention_mask[t], t <= end ? 1 : 0);
  }
  EXPECT_EQ(tokens, (std::map<int32_t, int64_t>{{10, 3}, {11, 25}, {12, 10}}));
}

TEST_F(MaskedBatchesTest, PadsToTheLongestRow) {
  const Batch short_rows = MaskedBatches(documents({3, 5, 4}), options(3, 512)).batch(0);
  EXPECT_EQ(short_rows.length, 8);
  EXPECT_EQ(short_rows.attention_mask.size(), 24U);
  const Batch full = MaskedBatches(documents({100}), options(1, 12)).batch(0);
  EXPECT_EQ(full.length, 12);
  EXPECT_TRUE(full.attention_mask.empty());
  EXPECT_TRUE(full.token_type_ids.empty());
  EXPECT_EQ(full.target_count, 2);  // 15 % of 10, rounded
}

TEST_F(MaskedBatchesTest, DrawsNewMasksEachEpochAndTheSameForABatch) {
  const MaskedBatches batches(counting({498}, vocabulary_size), options(1, 500));
  EXPECT_EQ(batches.count(), 1);
  EXPECT_EQ(batches.batch(7).input_ids, batches.batch(7).input_ids);
  EXPECT_NE(batches.batch(7).labels, batches.batch(8).labels);
  EXPECT_EQ(original(batches.batch(7), 0), original(batches.batch(8), 0));
}

TEST_F(MaskedBatchesTest, PairsFollowOrDoNot) {
  const TokenStream stream = documents({200, 200, 200, 200});
  MaskedOptions wanted = options(4, 35);
  wanted.next_sentence = true;
  const MaskedBatches batches(stream, wanted);
  int64_t random = 0, rows = 0;
  for (int64_t n = 0; n < 500; ++n) {
    const Batch batch = batches.batch(n);
    ASSERT_EQ(batch.next_sentence.size(), 4U);
    for (int64_t row = 0; row < 4; ++row) {
      const std::vector<int32_t> ids = original(batch, row);
      const auto first_sep = std::find(ids.begin(), ids.end(), sep);
      const auto second_sep = std::find(first_sep + 1, ids.end(), sep);
      ASSERT_NE(second_sep, ids.end());
      ASSERT_GT(first_sep - ids.begin(), 1);
      ASSERT_GT(second_sep - first_sep, 1);
      const int32_t label = batch.next_sentence[static_cast<size_t>(row)];
      EXPECT_EQ(label, ids[1] == first_sep[1] ? 0 : 1);
      for (auto it = ids.begin(); it != ids.end(); ++it)
        EXPECT_EQ(batch.token_type_ids[static_cast<size_t>(row * batch.length + (it - ids.begin()))],
                  it > first_sep && it <= second_sep ? 1 : 0);
      random += label;
      rows += 1;
    }
  }
  EXPECT_NEAR(static_cast<double>(random) / static_cast<double>(rows), 0.5, 0.056);  // five standard deviations
}

TEST_F(MaskedBatchesTest, EvaluationIsFixedAndEnds) {
  MaskedOptions wanted = options(2, 12);
  wanted.visit = Visit::in_turn;
  const MaskedBatches batches(documents({50}), wanted);
  EXPECT_EQ(batches.count(), 3);
  EXPECT_EQ(batches.batch(2).rows, 1);
  EXPECT_EQ(batches.batch(1).input_ids, batches.batch(1).input_ids);
  EXPECT_THROW(batches.batch(3), Error);
  wanted.limit = 1;
  EXPECT_EQ(MaskedBatches(documents({50}), wanted).count(), 1);
}

TEST_F(MaskedBatchesTest, SaysWhatItCannotDo) {
  EXPECT_ERROR(MaskedBatches(documents({50}), options(1, 2)), "room for the special tokens");
  MaskedOptions pairs = options(1, 12);
  pairs.next_sentence = true;
  EXPECT_ERROR(MaskedBatches(documents({50}), pairs), "is one document");
  EXPECT_ERROR(MaskedBatches(documents({1, 1}), pairs), "too few");
  EXPECT_NO_THROW(MaskedBatches(documents({1, 2}), pairs).batch(3));
}

}  // namespace
}  // namespace qkv
