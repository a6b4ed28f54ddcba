// Tasks on tiny models: a batch is its rows done singly, what is impossible is said, and the arithmetic holds.
#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "qkv/tasks/answer.h"
#include "qkv/tasks/classify.h"
#include "qkv/tasks/embed.h"
#include "qkv/tasks/fill.h"
#include "qkv/tasks/score.h"
#include "qkv/tasks/tag.h"
#include "tests/tasks/tiny_model.h"

#include <cmath>
#include <numeric>

namespace qkv {
namespace {

constexpr double tolerance = 1e-6;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "";
}

// Rows of all inputs, and what each gives alone.
template <typename Input, typename Text, typename Run>
void expect_rows_alone(const std::vector<Text>& texts, const std::function<Input(const Text&)>& prepare, Run&& run) {
  std::vector<Input> inputs;
  for (const Text& text : texts) inputs.push_back(prepare(text));
  const auto together = run(std::span<const Input>(inputs));
  ASSERT_EQ(together.size(), texts.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto alone = run(std::span<const Input>(&inputs[i], 1))[0];
    ASSERT_EQ(together[i].size(), alone.size()) << i;
    for (size_t j = 0; j < alone.size(); ++j) {
      if constexpr (requires { alone[j].score; }) {
        EXPECT_NEAR(together[i][j].score, alone[j].score, tolerance);
      } else {
        EXPECT_NEAR(together[i][j], alone[j], tolerance);
      }
    }
  }
}

TEST(Tasks, ABatchOfEmbeddingsIsItsRows) {
  const TinyModel model("bert_pretraining");
  for (const Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::last, Pooling::max}) {
    const Embedder embedder(model.path, {.batch_tokens = 200}, pooling, true);
    expect_rows_alone<Row, std::string>(
        random_texts(40, 38), [&](const std::string& text) { return embedder.row(text); },
        [&](std::span<const Row> rows) { return embedder.embed(rows); });
    const std::vector<float> vector = embedder.embed("w7 w8");
    EXPECT_NEAR(cosine(vector, vector), 1, tolerance);
    EXPECT_NEAR(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0), 1, 1e-5);
  }
}

TEST(Tasks, ABatchOfClassesIsItsRows) {
  for (const char* name : {"bert_sequence_classification", "bert_sequence_multilabel", "bert_sequence_regression"}) {
    const TinyModel model(name);
    const Classifier classifier(model.path, {.batch_tokens = 150});
    expect_rows_alone<Row, std::string>(
        random_texts(30, 18),
        [&](const std::string& text) { return classifier.base().row(text, text.substr(0, text.find(' '))); },
        [&](std::span<const Row> rows) { return classifier.classify(rows); });
  }
}

TEST(Tasks, ABatchOfFillingsIsItsRows) {
  const TinyModel model("bert_pretraining");
  const MaskFiller filler(model.path, {.batch_tokens = 150});
  std::vector<std::string> texts = random_texts(30, 30);
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = (i % 2 == 0 ? "[MASK] w9 " : "[MASK] ") + texts[i] + " [MASK]";
  std::vector<Row> rows;
  for (const std::string& text : texts) rows.push_back(filler.row(text));
  const std::vector<MaskFillings> together = filler.fill(rows);
  for (size_t i = 0; i < texts.size(); ++i) {
    const MaskFillings alone = filler.fill(texts[i]);
    ASSERT_EQ(together[i].size(), 2U);
    for (size_t m = 0; m < 2; ++m)
      for (size_t j = 0; j < 5; ++j) {
        EXPECT_EQ(together[i][m][j].token, alone[m][j].token);
        EXPECT_NEAR(together[i][m][j].score, alone[m][j].score, tolerance);
      }
  }
}

TEST(Tasks, FillingsAreProbabilities) {
  const TinyModel model("bert_pretraining");
  const MaskFiller filler(model.path);
  const MaskFillings all = filler.fill("w5 [MASK] w6", 1000);
  ASSERT_EQ(all.size(), 1U);
  double sum = 0;
  for (const Filling& filling : all[0]) sum += filling.score;
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_TRUE(std::is_sorted(all[0].begin(), all[0].end(),
                             [](const Filling& a, const Filling& b) { return a.score > b.score; }));
  // Among targets, the probabilities are the same ones.
  const std::vector<int32_t> targets = {filler.target("w70"), filler.target("w71")};
  const Row row = filler.row("w5 [MASK] w6");
  const std::vector<MaskFillings> among = filler.fill(std::span(&row, 1), 5, targets);
  EXPECT_EQ(among[0][0].size(), 2U);
  for (const Filling& filling : among[0][0]) {
    const auto found =
        std::find_if(all[0].begin(), all[0].end(), [&](const Filling& f) { return f.token == filling.token; });
    EXPECT_NEAR(found->score, filling.score, tolerance);
    EXPECT_EQ(filling.sequence, "w5 " + filling.text + " w6");
  }
}

TEST(Tasks, ABatchOfEntitiesIsItsRows) {
  const TinyModel model("bert_token_classification");
  for (const char* aggregation : {"none", "simple", "first", "average", "max"}) {
    const Tagger tagger(model.path, {.batch_tokens = 150},
                        {.aggregation = aggregation_named(aggregation), .overlap = 7});
    expect_rows_alone<Tagger::Input, std::string>(
        random_texts(30, 90), [&](const std::string& text) { return tagger.input(text); },
        [&](std::span<const Tagger::Input> inputs) { return tagger.tag(inputs); });
  }
}

TEST(Tasks, ABatchOfAnswersIsItsRows) {
  const TinyModel model("bert_question_answering");
  const Answerer answerer(model.path, {.batch_tokens = 150}, {.top_k = 3, .overlap = 9});
  std::vector<Answerer::Input> inputs;
  const std::vector<std::string> contexts = random_texts(30, 90);
  for (const std::string& context : contexts) inputs.push_back(answerer.input("w9 w11", context));
  const std::vector<Answers> together = answerer.answer(inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Answers alone = answerer.answer("w9 w11", contexts[i]);
    EXPECT_NEAR(together[i].null_score, alone.null_score, tolerance);
    ASSERT_EQ(together[i].spans.size(), alone.spans.size());
    for (size_t j = 0; j < alone.spans.size(); ++j) {
      EXPECT_EQ(together[i].spans[j].text, alone.spans[j].text);
      EXPECT_NEAR(together[i].spans[j].score, alone.spans[j].score, tolerance);
      EXPECT_EQ(contexts[i].substr(static_cast<size_t>(alone.spans[j].begin),
                                   static_cast<size_t>(alone.spans[j].end - alone.spans[j].begin)),
                alone.spans[j].text);
    }
  }
}

TEST(Tasks, TheScoreIsTheLoss) {
  const TinyModel model("gpt2");
  const Scorer scorer(model.path);
  const TextScore score = scorer.score("w5 w6 w7 w8 w9 w10");
  ASSERT_EQ(score.log_probabilities.size(), 5U);
  const NoGrad no_grad;
  const Inputs inputs{.input_ids = Tensor::from<int32_t>({1, 6}, score.ids),
                      .labels = Tensor::from<int32_t>({1, 6}, {6, 7, 8, 9, 10, -100})};
  EXPECT_NEAR(std::log(score.perplexity()), scorer.base().model().loss(inputs, {}).item(), 1e-5);
}

TEST(Tasks, WindowsScoreEachTokenOnceAndBatchesChangeNothing) {
  const TinyModel model("gpt2");
  const Scorer scorer(model.path, {.batch_tokens = 100}, {.stride = 11});
  const int64_t size = scorer.base().limit();
  std::vector<std::vector<int32_t>> texts;
  for (const std::string& text : random_texts(20, 150)) texts.push_back(scorer.ids("w3 " + text));
  const std::vector<TextScore> scores = scorer.score(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSERT_EQ(scores[i].log_probabilities.size() + 1, texts[i].size());
    for (int64_t token = 1; token < std::ssize(texts[i]); token += 13) {
      // Alone, in the first window that holds it.
      int64_t begin = 0;
      while (begin + size <= token) begin += 11;
      const std::vector<int32_t> window(texts[i].begin() + begin, texts[i].begin() + token + 1);
      const Scorer plain(model.path);
      EXPECT_NEAR(scores[i].log_probabilities[static_cast<size_t>(token - 1)],
                  plain.score(std::span(&window, 1))[0].log_probabilities.back(), 1e-5);
    }
  }
}

TEST(Tasks, TooLongIsRefusedOrCut) {
  const TinyModel model("bert_pretraining");
  Random random{RandomKey{3}};
  const std::string text = random_words(random, 50), start = text.substr(0, text.find(' ', 100));
  const Embedder strict(model.path);
  const std::string message = message_of([&] { strict.embed(text); });
  EXPECT_NE(message.find("52 tokens"), std::string::npos) << message;
  EXPECT_NE(message.find("40 positions"), std::string::npos) << message;
  EXPECT_NE(message.find("--truncate"), std::string::npos) << message;
  const Embedder cutting(model.path, {.truncate = true});
  EXPECT_EQ(cutting.row(text).ids.size(), 40U);
  // Of a pair the longer loses first.
  const Row pair = cutting.base().row(text, "w5 w6 w7");
  EXPECT_EQ(pair.ids.size(), 40U);
  EXPECT_EQ(std::count(pair.type_ids.begin(), pair.type_ids.end(), 1), 4);
  EXPECT_EQ(cutting.base().row(text, text).type_ids[19], 0);
  EXPECT_EQ(cutting.base().row(text, text).type_ids[20], 1);
}

TEST(Tasks, WhatIsMissingIsNamed) {
  const TinyModel bert("bert_pretraining"), gpt2("gpt2"), answers("bert_question_answering");
  const auto says = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  };
  const std::string message = message_of([&] { const Classifier classifier(bert.path); });
  says(message, "masked language model");
  says(message, "sequence-classification head");
  says(message_of([&] { const MaskFiller filler(gpt2.path); }), "causal language model");
  says(message_of([&] { const Scorer scorer(bert.path); }), "causal language model");
  says(message_of([&] { MaskFiller(bert.path).fill("w5 w6"); }), "[MASK]");
  says(message_of([&] { MaskFiller(bert.path).fill(""); }), "empty");
  says(message_of([&] { MaskFiller(bert.path).target("w5 w6"); }), "not one token");
  says(message_of([&] { Answerer(answers.path).answer("w5", ""); }), "context");
  says(message_of([&] { Answerer(answers.path).answer("", "w5"); }), "question");
  Random random{RandomKey{1}};
  says(message_of([&] { Answerer(answers.path).answer(random_words(random, 60), "w5"); }), "question");
  says(message_of([&] { Scorer(gpt2.path).score("w5"); }), "--bos");
  const TinyModel unnamed("bert_sequence_classification", {{"id2label", {{"0", "a"}, {"1", "b"}, {"7", "c"}}}});
  says(message_of([&] { const Classifier classifier(unnamed.path); }), "no name for class 2");
  // A tokenizer of more tokens than the model has.
  write_file(bert.path / "vocab.txt", read_file(bert.path / "vocab.txt") + "more\nwords\n");
  says(message_of([&] { const Embedder embedder(bert.path); }), "103 tokens, the model 101");
}

TEST(Tasks, StopsBetweenBatches) {
  const TinyModel model("bert_pretraining");
  std::vector<int64_t> seen;
  const Embedder embedder(model.path, {.batch_tokens = 40, .on_batch = [&](int64_t done, int64_t total) {
                                         seen.push_back(done);
                                         if (2 * done > total) throw Error("test", "enough");
                                       }});
  std::vector<Row> rows;
  for (const std::string& text : random_texts(20, 30)) rows.push_back(embedder.row(text));
  EXPECT_THROW(embedder.embed(rows), Error);
  EXPECT_LT(seen.back(), 20);
}

}  // namespace
}  // namespace qkv
