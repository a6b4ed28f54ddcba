#include "qkv/data/permuted_batches.h"

#include "tests/data/corpus.h"

#include <algorithm>

namespace qkv {
namespace {

class PermutedBatchesTest : public CorpusTest {
 protected:
  PermutedBatches batches() {
    const fs::path path = folder_ / "documents.tokens";
    TokenFileWriter writer(path, 1000, -1);
    for (const int64_t length : {30, 11, 3}) {
      writer.begin_document();
      std::vector<int32_t> ids;
      for (int64_t i = 0; i < length; ++i) ids.push_back(static_cast<int32_t>(100 + i));
      writer.add(ids);
    }
    writer.commit({});
    Masking masking{.chosen = 0.3, .mask_id = 3, .vocabulary = 1000};
    masking.special.assign(1000, 0);
    for (const size_t id : {0, 1, 2, 3}) masking.special[id] = 1;
    return {TokenStream(path),
            {.rows = 3, .length = 32, .cls = cls, .sep = sep, .pad = pad, .masking = masking, .key = {7, 0}}};
  }
};

TEST_F(PermutedBatchesTest, TokensStayAndPredictionsDoNotSeeThemselves) {
  const PermutedBatches all = batches();
  for (int64_t n = 0; n < 5; ++n) {
    const Batch batch = all.batch(n);
    ASSERT_EQ(std::ssize(batch.targets), batch.rows * batch.predictions);
    ASSERT_EQ(batch.labels.size(), batch.targets.size());
    int64_t counted = 0;
    for (int64_t r = 0; r < batch.rows; ++r) {
      std::vector<int64_t> order;
      for (int64_t i = 0; i < batch.predictions; ++i) {
        const size_t at = static_cast<size_t>(r * batch.predictions + i);
        if (batch.labels[at] == ignored_label) continue;
        const int64_t place = batch.targets[at];
        EXPECT_EQ(batch.labels[at], batch.input_ids[static_cast<size_t>(r * batch.length + place)]);
        order.push_back(place);
        ++counted;
      }
      const auto hides = [&](int64_t t, int64_t s) {
        return batch.hidden_pairs[static_cast<size_t>((r * batch.length + t) * batch.length + s)] != 0;
      };
      for (int64_t t = 0; t < batch.length; ++t)
        for (int64_t s = 0; s < batch.length; ++s) {
          const auto turn_of = [&](int64_t place) {
            return std::find(order.begin(), order.end(), place) - order.begin();
          };
          const bool predicted = turn_of(s) < std::ssize(order);
          const bool predicts = turn_of(t) < std::ssize(order);
          EXPECT_EQ(hides(t, s), predicted && (!predicts || turn_of(t) <= turn_of(s))) << n << " " << t << " " << s;
        }
    }
    EXPECT_EQ(counted, batch.target_count);
    EXPECT_GT(counted, 0);
  }
}

TEST_F(PermutedBatchesTest, ABatchIsAFunctionOfItsNumber) {
  const PermutedBatches one = batches(), two = batches();
  EXPECT_EQ(one.batch(3).targets, two.batch(3).targets);
  EXPECT_EQ(one.batch(3).hidden_pairs, two.batch(3).hidden_pairs);
  EXPECT_NE(one.batch(3).targets, one.batch(4).targets);
}

}  // namespace
}  // namespace qkv
