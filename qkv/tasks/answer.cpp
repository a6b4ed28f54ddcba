#include "qkv/tasks/answer.h"

#include "qkv/core/error.h"
#include "qkv/tasks/softmax.h"
#include "qkv/tasks/windows.h"
#include "qkv/text/aligned_text.h"
#include "qkv/text/characters.h"
#include "qkv/text/normalizer.h"

#include <algorithm>
#include <limits>

namespace qkv {

Answerer::Answerer(const fs::path& directory, TaskOptions options, AnswerOptions answer_options)
    : Answerer(TextModel(directory, std::move(options)), answer_options) {}

Answerer::Answerer(TextModel base, AnswerOptions answer_options) : base_(std::move(base)), options_(answer_options) {
  base_.require("answering", {Task::question_answering}, "a question-answering head");
  base_.limit_to(options_.window, "a window has {}");
}

Answerer::Input Answerer::input(std::string_view question, std::string_view context) const {
  Input input{std::string(context), base_.ids_of(question, "question"), {}, {}};
  input.encoding = base_.tokenizer().encode(context, {.add_special_tokens = false});
  const int64_t length = std::ssize(input.encoding.ids);
  if (length == 0) throw Error("context", "is empty", "give the text in which the answer is to be found");
  const int64_t room = base_.room(true) - std::ssize(input.question);
  if (room < 1)
    throw base_.too_long("question", std::ssize(input.question), true,
                         "shorten it, or read more at once (--max-length)");
  if (options_.overlap >= room)
    throw Error("--stride",
                fmt::format("windows with {} tokens of the context cannot share {}", room, options_.overlap),
                "share fewer tokens");
  const int64_t usual = std::min<int64_t>(base_.limit() / 2, 128);
  input.windows = windows_over(length, room, options_.overlap >= 0 ? options_.overlap : std::min(usual, room / 2));
  return input;
}

namespace {

struct Candidate {
  double score;
  int64_t start, end;  // tokens of the context, both included
};

// The best spans of one window. `starts` and `ends` are the probabilities of the window's context tokens.
std::vector<Candidate> best_spans(std::span<const double> starts, std::span<const double> ends, int64_t longest,
                                  size_t count) {
  std::vector<Candidate> spans;
  for (int64_t s = 0; s < std::ssize(starts); ++s)
    for (int64_t e = s; e < std::min(std::ssize(ends), s + longest); ++e)
      spans.push_back({starts[static_cast<size_t>(s)] * ends[static_cast<size_t>(e)], s, e});
  const auto kept = spans.begin() + std::min(std::ssize(spans), static_cast<std::ptrdiff_t>(count));
  std::partial_sort(spans.begin(), kept, spans.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : std::pair(a.start, a.end) < std::pair(b.start, b.end);
  });
  spans.erase(kept, spans.end());
  return spans;
}

// What a softmax over a window leaves for the context: question and special tokens cannot be answers, but the class
// token takes its share.
std::vector<double> probabilities(std::span<const float> logits, const std::vector<uint8_t>& allowed) {
  std::vector<float> masked(logits.begin(), logits.end());
  for (size_t i = 0; i < masked.size(); ++i)
    if (allowed[i] == 0) masked[i] = -10000;
  return softmax_of(masked);
}

std::string folded(std::string_view text) {
  AlignedText aligned = AlignedText::of(text, 0, text.size(), false);
  lowercase(aligned);
  return aligned.text;
}

// The characters of tokens [start, end] of a window, widened to whole words.
std::pair<int32_t, int32_t> characters_of(const Encoding& encoding, std::pair<int64_t, int64_t> window, int64_t start,
                                          int64_t end, bool align_to_words) {
  const auto word = [&](int64_t token) { return encoding.words[static_cast<size_t>(token)]; };
  while (align_to_words && start > window.first && word(start - 1) == word(start)) --start;
  while (align_to_words && end + 1 < window.second && word(end + 1) == word(end)) ++end;
  return {encoding.offsets[static_cast<size_t>(start)].first, encoding.offsets[static_cast<size_t>(end)].second};
}

}  // namespace

std::vector<Answers> Answerer::answer(std::span<const Input> inputs) const {
  struct Window {
    size_t input;
    std::pair<int64_t, int64_t> tokens;
    int64_t first_at;  // the context's place in the row
    std::vector<Candidate> spans;
    double null_score = 0;
  };
  std::vector<Window> windows;
  std::vector<Row> rows;
  for (size_t i = 0; i < inputs.size(); ++i)
    for (const auto& [begin, end] : inputs[i].windows) {
      const auto ids =
          std::span(inputs[i].encoding.ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      const FramedIds framed = base_.tokenizer().frame(inputs[i].question, ids);
      windows.push_back({i, {begin, end}, framed.second_at, {}});
      rows.push_back(base_.framed(framed));
    }
  const std::optional<int32_t> cls = base_.tokenizer().special().cls;
  const size_t candidates = static_cast<size_t>(options_.align_to_words ? 2 * options_.top_k + 10 : options_.top_k);
  base_.run(rows, [&](const RowBatch& batch) {
    const auto outputs = base_.outputs(batch.inputs);
    const std::vector<float> start_logits = finite_values(outputs[0].second);
    const std::vector<float> end_logits = finite_values(outputs[1].second);
    for (size_t r = 0; r < batch.rows.size(); ++r) {
      Window& window = windows[batch.rows[r]];
      const std::vector<int32_t>& ids = rows[batch.rows[r]].ids;
      const auto length = static_cast<size_t>(window.tokens.second - window.tokens.first);
      const auto first = static_cast<size_t>(window.first_at);
      std::vector<uint8_t> allowed(ids.size(), 0);
      for (size_t t = 0; t < ids.size(); ++t) allowed[t] = (t >= first && t < first + length) || ids[t] == cls;
      const size_t row = r * static_cast<size_t>(batch.length);
      const std::vector<double> starts = probabilities(std::span(start_logits).subspan(row, ids.size()), allowed);
      const std::vector<double> ends = probabilities(std::span(end_logits).subspan(row, ids.size()), allowed);
      window.null_score = starts[0] * ends[0];
      window.spans = best_spans(std::span(starts).subspan(first, length), std::span(ends).subspan(first, length),
                                options_.longest, candidates);
    }
  });
  std::vector<Answers> results(inputs.size());
  std::vector<std::vector<std::string>> known(inputs.size());  // the texts of the spans, folded
  for (const Window& window : windows) {
    Answers& answers = results[window.input];
    const Input& input = inputs[window.input];
    const bool first_window = window.tokens.first == 0;
    answers.null_score = first_window ? window.null_score : std::min(answers.null_score, window.null_score);
    const Characters characters(input.context);
    for (const Candidate& span : window.spans) {
      const auto [begin, end] = characters_of(input.encoding, window.tokens, window.tokens.first + span.start,
                                              window.tokens.first + span.end, options_.align_to_words);
      const std::string_view text = characters.slice(begin, end);
      auto& texts = known[window.input];
      const auto same = std::find(texts.begin(), texts.end(), folded(text));
      if (same != texts.end()) {
        answers.spans[static_cast<size_t>(same - texts.begin())].score += span.score;
        continue;
      }
      texts.push_back(folded(text));
      answers.spans.push_back({span.score, std::string(text), begin, end});
    }
  }
  for (Answers& answers : results) {
    if (options_.allow_null) answers.spans.push_back({answers.null_score, "", 0, 0});
    std::stable_sort(answers.spans.begin(), answers.spans.end(),
                     [](const Answer& a, const Answer& b) { return a.score > b.score; });
    if (std::ssize(answers.spans) > options_.top_k) answers.spans.resize(static_cast<size_t>(options_.top_k));
  }
  return results;
}

Answers Answerer::answer(std::string_view question, std::string_view context) const {
  const Input one = input(question, context);
  return answer(std::span(&one, 1))[0];
}

}  // namespace qkv
