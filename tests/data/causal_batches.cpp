#include "qkv/data/causal_batches.h"

#include "tests/data/corpus.h"

#include <map>

namespace qkv {
namespace {

class CausalBatchesTest : public CorpusTest {};

TEST_F(CausalBatchesTest, LabelsAreTheNextTokens) {
  for (const Visit visit : {Visit::random, Visit::shuffled, Visit::in_turn}) {
    const CausalBatches batches(counting({1000}), {.rows = 3, .context = 8, .visit = visit, .key = {1, 2}});
    const Batch batch = batches.batch(2);
    ASSERT_EQ(batch.input_ids.size(), 24U);
    ASSERT_EQ(batch.labels.size(), 24U);
    EXPECT_EQ(batch.target_count, 24);
    for (size_t i = 0; i < 24; ++i) EXPECT_EQ(batch.labels[i], batch.input_ids[i] + 1);
    for (size_t i = 1; i < 8; ++i) EXPECT_EQ(batch.input_ids[i], batch.input_ids[0] + static_cast<int32_t>(i));
  }
}

TEST_F(CausalBatchesTest, ABatchDependsOnItsNumberAndTheKeyAlone) {
  const TokenStream stream = counting({1000});
  for (const Visit visit : {Visit::random, Visit::shuffled}) {
    const CausalOptions options{.rows = 4, .context = 16, .visit = visit, .key = {9, 9}};
    const CausalBatches one(stream, options);
    const CausalBatches two(stream, options);
    for (const int64_t n : {7, 100, 3, 1'000'000}) EXPECT_EQ(one.batch(n).input_ids, two.batch(n).input_ids);
    EXPECT_NE(one.batch(0).input_ids, one.batch(1).input_ids);
    CausalOptions other = options;
    other.key.seed = 10;
    EXPECT_NE(CausalBatches(stream, other).batch(0).input_ids, one.batch(0).input_ids);
  }
}

TEST_F(CausalBatchesTest, RandomWindowsBeginAnywhere) {
  const CausalBatches batches(counting({20}), {.rows = 10, .context = 16, .visit = Visit::random});
  std::map<int32_t, int> begins;
  for (int64_t n = 0; n < 100; ++n) {
    const Batch batch = batches.batch(n);
    for (size_t row = 0; row < 10; ++row) begins[batch.input_ids[row * 16]] += 1;
  }
  ASSERT_EQ(begins.size(), 4U);
  EXPECT_EQ(begins.begin()->first, 0);
  EXPECT_EQ(begins.rbegin()->first, 3);
  for (const auto& [begin, count] : begins) EXPECT_NEAR(count, 250, 60) << begin;
}

TEST_F(CausalBatchesTest, AnEpochHasEveryTargetOnce) {
  for (const int64_t size : {17, 18, 32, 33, 34, 1000}) {
    for (const Visit visit : {Visit::shuffled, Visit::in_turn}) {
      const TokenStream stream = counting({size});
      // One row a batch, so that an epoch is a whole number of batches.
      const CausalBatches batches(stream, {.rows = 1, .context = 16, .visit = visit, .key = {4, 4}});
      for (int64_t epoch = 0; epoch < (visit == Visit::shuffled ? 3 : 1); ++epoch) {
        std::map<int32_t, int> targets;
        int64_t count = 0;
        for (int64_t n = 0; n < batches.count(); ++n) {
          const Batch batch = batches.batch(epoch * batches.count() + n);
          count += batch.target_count;
          for (const int32_t label : batch.labels)
            if (label != ignored_label) targets[label] += 1;
        }
        EXPECT_EQ(count, size - 1);
        EXPECT_EQ(static_cast<int64_t>(targets.size()), size - 1);
        EXPECT_EQ(targets.count(0), 0U);
      }
    }
  }
}

TEST_F(CausalBatchesTest, EvaluationEndsWithAShortBatch) {
  const CausalBatches batches(counting({81}), {.rows = 3, .context = 16, .visit = Visit::in_turn});
  EXPECT_EQ(batches.count(), 2);
  EXPECT_EQ(batches.batch(0).rows, 3);
  EXPECT_EQ(batches.batch(1).rows, 2);
  EXPECT_EQ(batches.batch(1).input_ids.size(), 32U);
  EXPECT_THROW(batches.batch(2), Error);
  const CausalBatches few(counting({16'001}), {.rows = 2, .context = 16, .visit = Visit::in_turn, .limit = 5});
  EXPECT_EQ(few.count(), 5);
  EXPECT_EQ(few.batch(4).input_ids[16], 9 * 100 * 16);
}

TEST_F(CausalBatchesTest, ATextShorterThanTheContextSaysHowLongItIs) {
  const CausalOptions options{.rows = 1, .context = 64};
  EXPECT_ERROR(CausalBatches(counting({64}), options), "has 64 tokens; a context of 64 needs at least 65");
  EXPECT_ERROR(CausalBatches(counting({64}), options), "a context of at most 63");
  EXPECT_ERROR(CausalBatches(counting({1}), options), "use a longer text");
  EXPECT_ERROR(CausalBatches(counting({100}).split(0.1).second, options), "(validation part)] has 10 tokens");
  EXPECT_NO_THROW(CausalBatches(counting({65}), options).batch(0));
  EXPECT_ERROR(CausalBatches(counting({65}), {.rows = 0, .context = 8}), "0 rows");
}

TEST_F(CausalBatchesTest, BecomesTheModelsInputs) {
  const CausalBatches batches(counting({100}), {.rows = 2, .context = 4});
  const Batch batch = batches.batch(0);
  const Inputs inputs = inputs_of(batch);
  EXPECT_EQ(inputs.input_ids.shape(), (Shape{2, 4}));
  EXPECT_EQ(inputs.input_ids.dtype(), DType::i32);
  EXPECT_EQ(inputs.labels.to_vector<int32_t>(), batch.labels);
  EXPECT_FALSE(inputs.attention_mask);
  EXPECT_FALSE(inputs.position_ids);
  EXPECT_FALSE(inputs.next_sentence);
}

}  // namespace
}  // namespace qkv
