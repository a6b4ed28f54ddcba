// The engine's steps of one row a sequence, recorded and replayed: the same bits as without, and the CPU's text. On a
// GPU or the emulated device; the CPU records nothing.
#include "qkv/generate/writing_step.h"

#include "qkv/core/error.h"
#include "qkv/generate/scheduler.h"
#include "tests/generate/writers.h"
#include "tests/tensor/without_replays.h"

#include <algorithm>

namespace qkv {
namespace {

// With room for more keys than attention is first started for.
constexpr int64_t positions = 160;

Ids prompt_of(int32_t count, int32_t step) {
  Ids ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(i * step % vocab);
  return ids;
}

Request request_of(Ids prompt, int64_t tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.options = {.max_new_tokens = tokens, .sample = true, .top_p = 0.95F, .seed = 4};
  return request;
}

// What all requests were answered, and how it was done.
struct Said {
  std::vector<Ids> ids;
  std::vector<float> probabilities;
  EngineStats stats;
};

// Clients that come and go: texts of different lengths, of which some begin alike, one beyond the number of keys where
// attention is started otherwise, one whose context slides, several of one prompt, one whose client leaves.
Said conversation(Model& model, EngineOptions options, Model* draft = nullptr) {
  options.max_batch = 9;
  options.page_size = 8;
  options.prompt_chunk = 32;
  options.context = positions;
  std::vector<std::pair<int, Request>> arrivals;  // the step, and who
  arrivals.emplace_back(0, request_of(prompt_of(120, 3), 30));
  arrivals.emplace_back(0, request_of(prompt_of(9, 5), 40));
  arrivals.emplace_back(3, request_of({7}, 12));
  arrivals.emplace_back(8, request_of(prompt_of(11, 7), 20));
  arrivals.back().second.options.num_return_sequences = 3;
  arrivals.emplace_back(20, request_of(prompt_of(20, 5), 15));  // begins as the second
  arrivals.emplace_back(22, request_of(prompt_of(40, 4), 100));
  arrivals.emplace_back(24, request_of(prompt_of(150, 6), 25));
  arrivals.back().second.overflow = Overflow::slide;
  arrivals.back().second.kept = 2;
  arrivals.emplace_back(30, request_of(prompt_of(120, 3), 10));  // the first again
  const size_t leaves = 5, after = 20;                           // tokens

  const auto scheduler = make_scheduler(model, options, draft);
  Said said;
  std::vector<std::vector<Ids>> ids(arrivals.size());
  std::vector<std::vector<std::vector<float>>> scores(arrivals.size());
  size_t next = 0;
  bool more = true;
  for (int step = 0; more || next < arrivals.size(); ++step) {
    if (step > 5000) throw Error("test", "the scheduler does not end");
    for (; next < arrivals.size() && arrivals[next].first <= step; ++next) {
      Request& request = arrivals[next].second;
      const auto rows = static_cast<size_t>(request.options.num_return_sequences);
      ids[next].resize(rows);
      scores[next].resize(rows);
      request.on_token = [&own = ids[next], &likely = scores[next], left = request.cancelled, stays = next != leaves,
                          after](size_t row, const ChosenToken& token) {
        if (!stays && own[row].size() == after) return true;
        own[row].push_back(token.id);
        likely[row].push_back(token.log_probability);
        if (!stays && own[row].size() == after) left->store(true);
        return true;
      };
      scheduler->submit(std::move(request));
    }
    more = scheduler->step();
  }
  for (const auto& of_request : ids) said.ids.insert(said.ids.end(), of_request.begin(), of_request.end());
  for (const auto& of_request : scores)
    for (const auto& row : of_request) said.probabilities.insert(said.probabilities.end(), row.begin(), row.end());
  said.stats = scheduler->stats();
  EXPECT_EQ(said.stats.pages_held, 0);
  EXPECT_EQ(said.stats.cancelled, 1);
  EXPECT_GT(said.stats.shared_tokens, 0);
  return said;
}

class ReplayedEngine : public testing::TestWithParam<std::string> {};

TEST_P(ReplayedEngine, SaysWhatItSaysWithoutReplaysAndOnTheCpu) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const std::unique_ptr<Model> model = model_of(GetParam(), 3, positions);
  const bool replays = GetParam() != "bloom" && GetParam() != "mixtral";
  for (const bool deterministic : {false, true}) {
    const EngineOptions options{.deterministic = deterministic};
    const Said replayed = conversation(*model, options);
    if (replays) {
      EXPECT_GT(replayed.stats.replays, replayed.stats.steps / 2) << replayed.stats.steps;
    } else {
      EXPECT_EQ(replayed.stats.replays, 0);
    }
    {
      const WithoutReplays without;
      const Said plain = conversation(*model, options);
      EXPECT_EQ(plain.ids, replayed.ids);
      EXPECT_EQ(plain.probabilities, replayed.probabilities);
      EXPECT_EQ(plain.stats.replays, 0);
    }
    const std::unique_ptr<Model> cpu = model_of(GetParam(), 3, positions);
    cpu->to(Device());
    const Said there = conversation(*cpu, options);
    EXPECT_EQ(there.ids, replayed.ids);
    EXPECT_EQ(there.stats.replays, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, ReplayedEngine, testing::Values("llama", "gpt2", "gemma2", "bloom", "mixtral"),
                         [](const auto& each) { return each.param; });

TEST(OneReplayedEngine, GivesTheSameBitsInOtherTypes) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const std::unique_ptr<Model> model = model_of("llama", 3, positions);
  for (const EngineOptions& options :
       {EngineOptions{.compute = DType::bf16}, EngineOptions{.compute = DType::f16, .cache = DType::bf16}}) {
    const Said replayed = conversation(*model, options);
    EXPECT_GT(replayed.stats.replays, replayed.stats.steps / 2);
    const WithoutReplays without;
    const Said plain = conversation(*model, options);
    EXPECT_EQ(plain.ids, replayed.ids);
    EXPECT_EQ(plain.probabilities, replayed.probabilities);
  }
}

TEST(OneReplayedEngine, SaysTheSameWithGuesses) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  const std::unique_ptr<Model> model = model_of("llama", 3, positions);
  const std::unique_ptr<Model> other = model_of("llama", 4, positions);
  const Said plain = conversation(*model, {});
  for (Model* draft : {static_cast<Model*>(nullptr), other.get()}) {
    const Said guessed = conversation(*model, {.drafts = 3}, draft);
    EXPECT_GT(guessed.stats.guessed_tokens, 0);
    EXPECT_GT(guessed.stats.replays, 0);
    EXPECT_EQ(guessed.ids, plain.ids);
  }
}

// Sequences of a model on the device, each with pages of its own.
class ReplayedWriting : public testing::Test {
 protected:
  void SetUp() override {
    if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
    model_ = model_of("llama", 3, positions);
    cache_ = std::make_unique<PagedCache>(model_->spec().layers(), 9 * pages_each, 16);
    step_ = std::make_unique<WritingStep>(*model_, *cache_, DType::f32, positions);
    for (int32_t i = 0; i < 9 * pages_each; ++i) pages_.push_back(i);
  }

  // Token `id` of each of so many sequences at the position.
  Tensor run(int64_t sequences, int64_t position, int32_t id = 4) {
    const NoGrad no_grad;
    std::vector<WritingStep::Row> rows;
    for (int64_t i = 0; i < sequences; ++i)
      rows.push_back({id, position, std::span<const int32_t>(pages_).subspan(static_cast<size_t>(i * pages_each))});
    return step_->run(rows);
  }

  static constexpr int64_t pages_each = positions / 16;
  std::vector<int32_t> pages_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<PagedCache> cache_;
  std::unique_ptr<WritingStep> step_;
};

TEST_F(ReplayedWriting, IsRecordedWhenItsFormComesAgain) {
  run(3, 0);
  EXPECT_EQ(step_->replays(), 0) << "the first makes what is made once";
  const Tensor three = run(3, 1), four = run(4, 2);
  EXPECT_EQ(step_->replays(), 2);
  EXPECT_TRUE(three.shares_memory(four)) << "rows are filled up";
  EXPECT_EQ(three.shape(), (Shape{3, vocab}));
  EXPECT_FALSE(run(5, 3).shares_memory(four));
  EXPECT_TRUE(run(3, 3).shares_memory(four));
  run(4, 128);
  EXPECT_EQ(step_->replays(), 3) << "more keys than were recorded";
}

TEST_F(ReplayedWriting, FormsThatChangeWithEachStepAreNotRecorded) {
  // Of 1, 2, 4, 8 and 16 rows, with few and with many keys.
  for (int round = 0; round < 3; ++round)
    for (const int64_t sequences : {1, 2, 4, 8, 9})
      for (const int64_t position : {0, 140}) run(sequences, position);
  EXPECT_EQ(step_->replays(), 0);
}

TEST_F(ReplayedWriting, RowsThatFillUpTouchNobody) {
  for (int32_t position = 0; position < 3; ++position) run(8, position, position);
  const std::vector<float> expected = run(8, 3).narrow(0, 7, 1).to_vector<float>();
  for (int32_t position = 0; position < 3; ++position) run(5, position, 9);
  EXPECT_EQ(run(8, 3).narrow(0, 7, 1).to_vector<float>(), expected);
}

TEST_F(ReplayedWriting, GoesOnWhenItsRecordingsAreGivenBack) {
  const std::vector<float> first = run(2, 0).to_vector<float>();
  run(2, 0);
  EXPECT_EQ(step_->replays(), 1);
  EXPECT_TRUE(step_->forget_recordings());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(2, 0).to_vector<float>(), first);
  EXPECT_EQ(step_->replays(), 1);
  EXPECT_FALSE(step_->forget_recordings());
}

TEST(ReplayedScores, AreNotRecordedWhereThePassFails) {
  if (!on_gpu()) GTEST_SKIP() << "the CPU records nothing";
  RecordedScores scores(1);
  scores.renew(default_device());
  EXPECT_FALSE(scores.record(default_device(), []() -> Tensor { throw Error("memory", "there is none"); }));
  EXPECT_TRUE(scores.record(default_device(), [] { return Tensor::zeros({2}, DType::f32, default_device()); }));
  EXPECT_EQ(scores.play().to_vector<float>(), (std::vector<float>{0, 0}));
}

}  // namespace
}  // namespace qkv
