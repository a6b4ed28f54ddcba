#include "qkv/tasks/score.h"

#include "qkv/core/error.h"
#include "qkv/tasks/vocabulary_scores.h"
#include "qkv/tasks/windows.h"

#include <cmath>
#include <numeric>

namespace qkv {

double TextScore::total() const { return std::accumulate(log_probabilities.begin(), log_probabilities.end(), 0.0); }

double TextScore::perplexity() const {
  return std::exp(-total() / static_cast<double>(std::max<size_t>(1, log_probabilities.size())));
}

Scorer::Scorer(const fs::path& directory, TaskOptions options, ScoreOptions score_options)
    : base_(directory, std::move(options)), options_(score_options) {
  base_.require("scoring", {Task::causal_lm}, "a causal language model");
  if (!base_.model().spec().causal())
    throw Error(directory.string(), "this language model does not read from left to right, so it has no perplexity",
                "name a model such as GPT-2 or Llama");
  if (base_.limit() < 2) throw Error("--max-length", "is less than 2, and a token is predicted from one before it");
  if (options_.stride >= base_.limit())
    throw Error("--stride", fmt::format("is {}, and a window has {} tokens", options_.stride, base_.limit()),
                "let windows overlap by at least one token");
}

std::vector<int32_t> Scorer::ids(std::string_view text) const {
  std::vector<int32_t> ids = base_.tokenizer().frame(base_.ids_of(text, "text")).ids;
  const SpecialTokens& special = base_.tokenizer().special();
  const std::optional<int32_t> start = special.bos ? special.bos : special.eos;
  if (options_.start) {
    if (!start) throw Error("--bos", "the tokenizer has no token for the beginning of a text");
    if (ids[0] != *start) ids.insert(ids.begin(), *start);
  }
  if (ids.size() < 2)
    throw Error("text", "is one token, and there is none before it to be predicted from",
                "give a longer text, or score it behind the beginning-of-text token: --bos");
  if (std::ssize(ids) > base_.limit() && options_.stride == 0) {
    if (!base_.options().truncate)
      throw base_.too_long("text", std::ssize(ids) - base_.tokenizer().special_count(false), false,
                           fmt::format("read it in windows (--stride {}), or let it be cut (--truncate)",
                                       std::max<int64_t>(1, base_.limit() / 2)));
    ids.resize(static_cast<size_t>(base_.limit()));
  }
  return ids;
}

std::vector<TextScore> Scorer::score(std::span<const std::vector<int32_t>> texts) const {
  struct Window {
    size_t text;
    int64_t begin;
    int64_t first;  // the first token that is scored here
  };
  std::vector<Window> windows;
  std::vector<Row> rows;
  std::vector<TextScore> results;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<int32_t>& ids = texts[i];
    results.push_back({ids, std::vector<float>(ids.size() - 1)});
    int64_t scored = 1;
    for (const auto& [begin, end] : windows_over(std::ssize(ids), base_.limit(), base_.limit() - options_.stride)) {
      rows.push_back({{ids.begin() + begin, ids.begin() + end}, {}});
      windows.push_back({i, begin, scored});
      scored = end;
    }
  }
  base_.run(rows, [&](const RowBatch& batch) {
    std::vector<int32_t> places;
    std::vector<std::pair<size_t, size_t>> targets;  // of each place: text and token
    for (size_t r = 0; r < batch.rows.size(); ++r) {
      const Window& window = windows[batch.rows[r]];
      const int64_t end = window.begin + std::ssize(rows[batch.rows[r]].ids);
      for (int64_t token = window.first; token < end; ++token) {
        places.push_back(static_cast<int32_t>(static_cast<int64_t>(r) * batch.length + token - 1 - window.begin));
        targets.emplace_back(window.text, static_cast<size_t>(token));
      }
    }
    const Tensor h = base_.model().hidden(batch.inputs, base_.context());
    visit_vocabulary_scores(base_, h, places, [&](size_t i, std::span<const float> logits) {
      const auto [text, token] = targets[i];
      const double logit = logits[static_cast<size_t>(texts[text][token])];
      results[text].log_probabilities[token - 1] = static_cast<float>(logit - log_partition(logits));
    });
  });
  return results;
}

TextScore Scorer::score(std::string_view text) const {
  const std::vector<int32_t> one = ids(text);
  return score(std::span(&one, 1))[0];
}

}  // namespace qkv
