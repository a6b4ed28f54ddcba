// Extractive question answering: the span of a context that answers a question (Rajpurkar et al. 2016).
//
//   const qkv::Answerer answerer("models/squad");
//   const qkv::Answers answers = answerer.answer("Who wrote it?", "The book was written by Lewis Carroll.");
//   std::cout << answers.spans[0].text << ' ' << answers.spans[0].score << '\n';
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

struct AnswerOptions {
  int64_t top_k = 1;
  bool allow_null = false;     // "no answer" competes, as in SQuAD 2.0 (Rajpurkar et al. 2018)
  int64_t longest = 15;        // tokens of an answer
  int64_t window = 384;        // tokens of question, context and special tokens that are read at once
  int64_t overlap = -1;        // of windows over a long context, in tokens; below 0: 128, or what the window allows
  bool align_to_words = true;  // answers end where words do
};

struct Answer {
  double score = 0;   // start probability times end probability; spans of the same text are one, with the sum
  std::string text;   // "" = no answer
  int32_t begin = 0;  // [begin, end) in characters of the context
  int32_t end = 0;
};

struct Answers {
  std::vector<Answer> spans;  // best first
  double null_score = 0;  // of no answer: the least, over the windows, of the first position's probability as a span
};

class Answerer {
 public:
  // Throws Error for a checkpoint without a question-answering head.
  explicit Answerer(const fs::path& directory, TaskOptions options = {}, AnswerOptions answer_options = {});
  explicit Answerer(TextModel base, AnswerOptions answer_options = {});

  const TextModel& base() const { return base_; }

  // A question with its context as answer() takes it.
  struct Input {
    std::string context;
    std::vector<int32_t> question;  // ids
    Encoding encoding;              // of the context, without special tokens
    std::vector<std::pair<int64_t, int64_t>> windows;
  };
  // Throws Error for an empty question or context, and for a question that leaves a window no room.
  Input input(std::string_view question, std::string_view context) const;

  std::vector<Answers> answer(std::span<const Input> inputs) const;
  Answers answer(std::string_view question, std::string_view context) const;

 private:
  TextModel base_;
  AnswerOptions options_;
};

}  // namespace qkv
