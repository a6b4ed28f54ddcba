// What the engine writes for many requests at once is what the generator writes for each alone.
#include "qkv/generate/engine.h"

#include "qkv/core/error.h"
#include "qkv/generate/generator.h"
#include "tests/generate/writers.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace qkv {
namespace {

// What came back of one request.
struct Answer {
  std::vector<Ids> ids;
  std::vector<std::vector<ChosenToken>> tokens;
  std::vector<Finish> finish;
  std::vector<std::string> messages;
  std::vector<ChosenToken> prompt;
  size_t finished = 0;
};

// Fills `answer` as the request runs.
Request listening(Request request, Answer& answer) {
  const size_t count = static_cast<size_t>(request.options.num_return_sequences);
  answer.ids.resize(count);
  answer.tokens.resize(count);
  answer.finish.resize(count);
  answer.messages.resize(count);
  request.on_prompt = [&answer](const std::vector<ChosenToken>& scores) { answer.prompt = scores; };
  if (!request.on_token)
    request.on_token = [&answer](size_t index, const ChosenToken& token) {
      answer.ids[index].push_back(token.id);
      answer.tokens[index].push_back(token);
      return true;
    };
  request.on_finish = [&answer](size_t index, Finish finish, const std::string& message) {
    answer.finish[index] = finish;
    answer.messages[index] = message;
    ++answer.finished;
  };
  return request;
}

std::vector<Answer> answers(Scheduler& scheduler, const std::vector<Request>& requests) {
  std::vector<Answer> all(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    scheduler.check(requests[i]);
    scheduler.submit(listening(requests[i], all[i]));
  }
  for (int guard = 0; scheduler.step(); ++guard)
    if (guard > 100000) throw Error("test", "the scheduler does not end");
  return all;
}

std::vector<Request> various_requests(bool sample) {
  std::vector<Request> requests;
  const std::vector<Ids> prompts = {{1, 2, 3, 4, 5, 6, 7}, {9}, {4, 4, 8}, {30, 0}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  for (size_t i = 0; i < 10; ++i) {
    Request request;
    request.prompt = prompts[i % prompts.size()];
    request.options = {.max_new_tokens = 4 + static_cast<int64_t>(i),
                       .sample = sample,
                       .top_k = i % 2 == 0 ? 10 : 0,
                       .top_p = 0.95F,
                       .seed = 4 + i,
                       .repetition_penalty = 1.1F};
    if (i % 3 == 0) request.options.logit_bias = {{5, 2.0F}, {7, -100.0F}};
    request.client = i % 2 == 0 ? "even" : "odd";
    requests.push_back(std::move(request));
  }
  return requests;
}

void expect_alone(Model& model, const Request& request, const Answer& answer) {
  GenerationOptions options = request.options;
  const auto alone = Generator(model, DType::f32).generate({request.prompt}, options)[0];
  ASSERT_EQ(answer.finished, alone.size());
  for (size_t r = 0; r < alone.size(); ++r) {
    EXPECT_EQ(answer.ids[r], alone[r].ids) << answer.messages[r];
    EXPECT_EQ(answer.finish[r], alone[r].ended ? Finish::end : Finish::length);
    for (size_t t = 0; t < std::min(alone[r].ids.size(), answer.ids[r].size()); ++t)
      EXPECT_NEAR(answer.tokens[r][t].log_probability, alone[r].log_probabilities[t], 1e-4);
  }
}

class EngineTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Model> model_ = model_of(GetParam());
};

TEST_P(EngineTest, ManyTogetherAreEachAlone) {
  for (const bool sample : {false, true})
    for (const bool share : {false, true}) {
      const auto scheduler = make_scheduler(
          *model_, {.max_batch = 4, .page_size = 4, .prompt_chunk = 6, .busy_chunk = 3, .share_prefixes = share});
      const std::vector<Request> requests = various_requests(sample);
      const std::vector<Answer> got = answers(*scheduler, requests);
      for (size_t i = 0; i < requests.size(); ++i) expect_alone(*model_, requests[i], got[i]);
      EXPECT_EQ(scheduler->stats().pages_held, 0);
      EXPECT_EQ(scheduler->stats().running, 0);
    }
}

TEST_P(EngineTest, SeveralContinuationsShareTheirPrompt) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 6, .page_size = 4, .prompt_chunk = 6});
  for (const Ids& prompt : {Ids{3}, Ids{1, 2, 3, 4}, Ids{1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    Request request;
    request.prompt = prompt;
    request.options = {
        .max_new_tokens = 9, .sample = true, .temperature = 2, .seed = 3, .num_return_sequences = 3, .end_ids = {5}};
    const std::vector<Answer> got = answers(*scheduler, {request, request});
    for (const Answer& answer : got) expect_alone(*model_, request, answer);
  }
  EXPECT_EQ(scheduler->stats().pages_held, 0);
}

TEST_P(EngineTest, MoreContinuationsThanRunTogetherFollowWhenThereIsRoom) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 3, .page_size = 4, .prompt_chunk = 6});
  std::vector<Request> requests(3);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    requests[i].client = i == 0 ? "one" : "other";
    requests[i].options = {.max_new_tokens = 9,
                           .sample = true,
                           .temperature = 2,
                           .seed = 3 + i,
                           .num_return_sequences = i == 1 ? 2 : 8,
                           .end_ids = {5}};
  }
  const std::vector<Answer> got = answers(*scheduler, requests);
  for (size_t i = 0; i < requests.size(); ++i) expect_alone(*model_, requests[i], got[i]);
  EXPECT_EQ(scheduler->stats().pages_held, 0);
  EXPECT_EQ(scheduler->stats().waiting, 0);
}

TEST_P(EngineTest, GuessesChangeNothing) {
  if (!batches_continuously(model_->spec())) GTEST_SKIP() << "runs one request at a time";
  const std::unique_ptr<Model> other = model_of(GetParam(), 4);
  for (Model* draft : {static_cast<Model*>(nullptr), model_.get(), other.get()})
    for (const bool sample : {false, true}) {
      const auto scheduler =
          make_scheduler(*model_, {.max_batch = 3, .page_size = 4, .prompt_chunk = 6, .drafts = 4}, draft);
      std::vector<Request> requests = various_requests(sample);
      for (Request& request : requests) {
        request.options.repetition_penalty = 1;
        request.options.max_new_tokens = 20;
      }
      requests[3].options.end_ids = {5, 6, 7, 8};
      const std::vector<Answer> got = answers(*scheduler, requests);
      for (size_t i = 0; i < requests.size(); ++i) expect_alone(*model_, requests[i], got[i]);
      EXPECT_EQ(scheduler->stats().pages_held, 0);
      const EngineStats& stats = scheduler->stats();
      if (draft == model_.get()) {
        EXPECT_GT(stats.accepted_tokens, stats.guessed_tokens * 9 / 10);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Families, EngineTest, testing::ValuesIn(writing_families()), [](const auto& each) {
  std::string name = each.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

class OneEngine : public testing::Test {
 protected:
  std::unique_ptr<Model> model_ = model_of("llama");
};

TEST_F(OneEngine, APromptThatWasReadIsNotReadAgain) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 2, .page_size = 4});
  Request request;
  request.prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  request.options.max_new_tokens = 3;
  answers(*scheduler, {request});
  EXPECT_EQ(scheduler->stats().shared_tokens, 0);
  const std::vector<Answer> again = answers(*scheduler, {request});
  EXPECT_EQ(scheduler->stats().shared_tokens, 8);
  expect_alone(*model_, request, again[0]);
  // A conversation goes on: its first answer is read already.
  Request next = request;
  next.prompt.insert(next.prompt.end(), again[0].ids[0].begin(), again[0].ids[0].end());
  next.prompt.push_back(12);
  const std::vector<Answer> longer = answers(*scheduler, {next});
  EXPECT_EQ(scheduler->stats().shared_tokens, 8 + 12);
  expect_alone(*model_, next, longer[0]);
  // Another beginning shares nothing, whatever follows.
  Request other = request;
  other.prompt[0] = 2;
  answers(*scheduler, {other});
  EXPECT_EQ(scheduler->stats().shared_tokens, 8 + 12);
}

TEST_F(OneEngine, RequestsJoinBetweenStepsAndLongPromptsDoNotStallOthers) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 4, .page_size = 4, .prompt_chunk = 8, .busy_chunk = 2});
  Answer first, second;
  Request request;
  request.prompt = {1, 2};
  request.options.max_new_tokens = 20;
  scheduler->submit(listening(request, first));
  scheduler->step();
  scheduler->step();
  EXPECT_EQ(first.ids[0].size(), 2U);
  Request late;
  late.prompt = Ids(16, 3);
  late.options.max_new_tokens = 2;
  scheduler->submit(listening(late, second));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(second.ids[0].empty());
    scheduler->step();
    EXPECT_EQ(first.ids[0].size(), 3 + i);
  }
  EXPECT_EQ(second.ids[0].size(), 1U);
  while (scheduler->step()) continue;
  expect_alone(*model_, request, first);
  expect_alone(*model_, late, second);
}

TEST_F(OneEngine, CancellingFreesItsPages) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 2, .page_size = 4});
  std::vector<Answer> got(4);
  std::vector<Request> requests(4);
  for (size_t i = 0; i < 4; ++i) {
    requests[i].prompt = Ids(5, static_cast<int32_t>(i + 1));
    requests[i].options.max_new_tokens = 20;
    requests[i].options.num_return_sequences = 1;
    scheduler->submit(listening(requests[i], got[i]));
  }
  scheduler->step();
  EXPECT_GT(scheduler->stats().pages_held, 0);
  requests[0].cancelled->store(true);
  requests[3].cancelled->store(true);  // which still waits
  while (scheduler->step()) continue;
  EXPECT_EQ(got[0].finish[0], Finish::cancelled);
  EXPECT_LT(got[0].ids[0].size(), 20U);
  EXPECT_EQ(got[3].finish[0], Finish::cancelled);
  EXPECT_TRUE(got[3].ids[0].empty());
  EXPECT_EQ(scheduler->stats().pages_held, 0);
  expect_alone(*model_, requests[1], got[1]);
  expect_alone(*model_, requests[2], got[2]);
}

TEST_F(OneEngine, ClientsTakeTurns) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 1, .page_size = 4});
  std::vector<std::string> order;
  for (const char* client : {"a", "a", "a", "b"}) {
    Request request;
    request.prompt = {1};
    request.options.max_new_tokens = 1;
    request.client = client;
    request.on_finish = [&order, client](size_t, Finish, const std::string&) { order.emplace_back(client); };
    scheduler->submit(std::move(request));
  }
  while (scheduler->step()) continue;
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "a", "a"}));
}

TEST_F(OneEngine, DeterministicBitsDoNotDependOnWhatElseRuns) {
  const EngineOptions options{
      .max_batch = 4, .page_size = 4, .prompt_chunk = 8, .busy_chunk = 3, .deterministic = true, .drafts = 3};
  const std::vector<Request> requests = various_requests(true);
  const auto together = make_scheduler(*model_, options);
  std::vector<Answer> first = answers(*together, requests);
  const std::vector<Answer> again = answers(*together, requests);  // with shared prefixes
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto alone = make_scheduler(*model_, options);
    const Answer one = answers(*alone, {requests[i]})[0];
    for (const Answer* other : {static_cast<const Answer*>(&first[i]), &again[i]}) {
      ASSERT_EQ(one.ids, other->ids);
      for (size_t t = 0; t < one.tokens[0].size(); ++t)
        EXPECT_EQ(one.tokens[0][t].log_probability, other->tokens[0][t].log_probability);
    }
  }
  EXPECT_GT(together->stats().shared_tokens, 0);
}

TEST_F(OneEngine, ScoresOfPromptsAndAlternatives) {
  const auto scheduler = make_scheduler(*model_, {.max_batch = 2, .page_size = 4, .prompt_chunk = 3});
  Request request;
  request.prompt = {1, 2, 3, 4, 5, 6, 7};
  request.options.max_new_tokens = 0;
  request.score_prompt = true;
  request.likeliest = 4;
  const Answer scored = answers(*scheduler, {request})[0];
  ASSERT_EQ(scored.prompt.size(), 6U);
  EXPECT_EQ(scored.finish[0], Finish::length);
  EXPECT_TRUE(scored.ids[0].empty());
  for (size_t i = 0; i < scored.prompt.size(); ++i) {
    Request one;
    one.prompt.assign(request.prompt.begin(), request.prompt.begin() + static_cast<ptrdiff_t>(i) + 1);
    one.options.max_new_tokens = 1;
    one.options.logit_bias = {{request.prompt[i + 1], 1e4F}};  // so that this token is said
    one.likeliest = 4;
    const ChosenToken next = answers(*scheduler, {one})[0].tokens[0][0];
    EXPECT_EQ(scored.prompt[i].id, next.id);
    EXPECT_NEAR(scored.prompt[i].log_probability, next.log_probability, 1e-4);
    ASSERT_EQ(scored.prompt[i].likeliest.size(), 4U);
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(scored.prompt[i].likeliest[k].first, next.likeliest[k].first);
      if (k > 0) {
        EXPECT_GE(next.likeliest[k - 1].second, next.likeliest[k].second);
      }
    }
  }
}

TEST_F(OneEngine, ASlidingContextIsTheShortenedTextReadAnew) {
  const auto scheduler = make_scheduler(*model_, {.context = 16, .max_batch = 2, .page_size = 4});
  Request request;
  request.prompt = {1, 2, 3, 4, 5};
  request.options.max_new_tokens = 30;
  request.overflow = Overflow::slide;
  request.kept = 3;
  const Answer slid = answers(*scheduler, {request})[0];
  ASSERT_EQ(slid.ids[0].size(), 30U);
  EXPECT_EQ(scheduler->stats().pages_held, 0);
  // By hand: when 17 tokens stand, the first 3 and the last 5 stay.
  Ids window = request.prompt, said;
  while (said.size() < 30) {
    Request one;
    one.prompt = window;
    one.options.max_new_tokens = 1;
    const Answer next = answers(*make_scheduler(*model_, {.context = 32, .max_batch = 1}), {one})[0];
    said.push_back(next.ids[0][0]);
    window.push_back(said.back());
    if (window.size() > 16) window.erase(window.begin() + 3, window.end() - 5);
  }
  EXPECT_EQ(slid.ids[0], said);
  request.overflow = Overflow::refuse;
  const Answer refused = answers(*scheduler, {request})[0];
  EXPECT_EQ(refused.ids[0].size(), 11U);
  EXPECT_EQ(refused.finish[0], Finish::length);
}

TEST_F(OneEngine, WhatMakesNoSenseIsRefused) {
  const auto scheduler = make_scheduler(*model_, {.context = 16, .max_batch = 2});
  const auto refused = [&](const auto& change) {
    Request request;
    request.prompt = {1, 2};
    change(request);
    EXPECT_THROW(scheduler->check(request), Error);
  };
  refused([](Request& r) { r.prompt.clear(); });
  refused([](Request& r) { r.prompt = {1, vocab}; });
  refused([](Request& r) { r.prompt = {-1}; });
  refused([](Request& r) { r.prompt = Ids(16, 1); });
  refused([](Request& r) { r.options.num_return_sequences = 2000; });
  refused([](Request& r) { r.options.temperature = 0; });
  refused([](Request& r) { r.options.num_beams = 2; });
  refused([](Request& r) {
    r.options.penalty_alpha = 0.5F;
    r.options.top_k = 4;
  });
  refused([](Request& r) { r.options.max_new_tokens = -1; });
  EXPECT_THROW(make_scheduler(*model_, {.context = 1 << 20}), Error);
  EXPECT_THROW(make_scheduler(*model_of("bert"), {}), Error);
}

TEST_F(OneEngine, FewPagesOnlyMakeOthersWait) {
  // Room for two full contexts, though eight sequences could run.
  const auto scheduler = make_scheduler(*model_, {.context = 24, .max_batch = 8, .page_size = 4, .pages = 12});
  std::vector<Request> requests = various_requests(false);
  for (Request& request : requests) request.options.max_new_tokens = 14;
  const std::vector<Answer> got = answers(*scheduler, requests);
  for (size_t i = 0; i < requests.size(); ++i) expect_alone(*model_, requests[i], got[i]);
  EXPECT_EQ(scheduler->stats().pages_held, 0);
  // What can never fit fails, and those behind it go on.
  Request wide;
  wide.prompt = {1, 2};
  wide.options = {.max_new_tokens = 22, .sample = true, .num_return_sequences = 8};
  const std::vector<Answer> last = answers(*scheduler, {wide, requests[0]});
  for (const Finish finish : last[0].finish) EXPECT_EQ(finish, Finish::failed);
  EXPECT_EQ(last[0].finished, 8U);
  expect_alone(*model_, requests[0], last[1]);
}

TEST_F(OneEngine, ThreadsSubmitCancelAndLeave) {
  Engine engine(*model_, {.max_batch = 4, .max_waiting = 1000, .page_size = 4});
  constexpr int64_t threads = 4, each = 12;
  std::mutex mutex;
  int64_t finished = 0, cancelled = 0;
  std::vector<std::thread> clients;
  for (int64_t t = 0; t < threads; ++t)
    clients.emplace_back([&, t] {
      for (int64_t i = 0; i < each; ++i) {
        Request request;
        request.prompt = {static_cast<int32_t>(t + 1), static_cast<int32_t>(i % 5)};
        request.options.max_new_tokens = 12;
        request.client = std::to_string(t);
        request.on_finish = [&](size_t, Finish finish, const std::string&) {
          const std::lock_guard lock(mutex);
          ++finished;
          cancelled += finish == Finish::cancelled ? 1 : 0;
        };
        const auto flag = request.cancelled;
        EXPECT_TRUE(engine.submit(std::move(request)));
        if (i % 3 == 0) {
          flag->store(true);
          engine.wake();
        }
        engine.stats();
      }
    });
  for (std::thread& client : clients) client.join();
  engine.drain();
  EXPECT_EQ(finished, threads * each);
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.cancelled, cancelled);
  EXPECT_EQ(stats.pages_held, 0);
  EXPECT_EQ(stats.running + stats.waiting, 0);
  Request late;
  late.prompt = {1};
  EXPECT_FALSE(engine.submit(std::move(late)));
}

TEST_F(OneEngine, OtherWorkRunsBetweenSteps) {
  Engine engine(*model_, {.max_batch = 2, .prompt_chunk = 7, .busy_chunk = 3});
  std::vector<int64_t> alone, beside;
  std::atomic<bool> read = false, finished = false;
  EXPECT_TRUE(engine.between_steps([&](Model& model, int64_t positions) {
    EXPECT_EQ(&model, model_.get());
    alone.push_back(positions);
    read = alone.size() == 4;
    return !read;
  }));
  while (!read) std::this_thread::yield();
  // Until the request has ended, which this does not keep from ending.
  EXPECT_TRUE(engine.between_steps([&](Model&, int64_t positions) {
    beside.push_back(positions);
    return !finished;
  }));
  Request request;
  request.prompt = {1, 2, 3};
  request.options.max_new_tokens = 20;
  request.on_finish = [&](size_t, Finish, const std::string&) { finished = true; };
  EXPECT_TRUE(engine.submit(std::move(request)));
  engine.drain();
  EXPECT_EQ(alone, (std::vector<int64_t>{7, 7, 7, 7}));
  EXPECT_GT(std::count(beside.begin(), beside.end(), 3), 0);
  EXPECT_FALSE(engine.between_steps([](Model&, int64_t) { return false; }));
}

TEST_F(OneEngine, AnEngineThatEndsTellsThoseWhoWait) {
  int finished = 0;
  {
    Engine engine(*model_, {.max_batch = 1});
    for (int i = 0; i < 3; ++i) {
      Request request;
      request.prompt = {1};
      request.options.max_new_tokens = 20;
      request.on_finish = [&](size_t, Finish, const std::string&) { ++finished; };
      engine.submit(std::move(request));
    }
  }
  EXPECT_EQ(finished, 3);
}

}  // namespace
}  // namespace qkv
