#include "qkv/tasks/score.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "qkv/tasks/vocabulary_scores.h"
#include "qkv/tasks/windows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qkv {

double TextScore::total() const { return std::accumulate(log_probabilities.begin(), log_probabilities.end(), 0.0); }

double TextScore::perplexity() const {
  return std::exp(-total() / static_cast<double>(std::max<size_t>(1, log_probabilities.size())));
}

Scorer::Scorer(const fs::path& directory, TaskOptions options, ScoreOptions score_options)
    : base_(directory, std::move(options)), options_(score_options) {
  const Spec& spec = base_.model().spec();
  if (!spec.embeddings.query) base_.require("scoring", {Task::causal_lm}, "a causal language model");
  if (!spec.causal() && !(spec.embeddings.query && spec.heads.language_model))
    throw Error(directory.string(), "this language model does not read from left to right, so it has no perplexity",
                "name a model such as GPT-2 or Llama");
  if (options_.segment > 0 && !spec.stack.past)
    throw Error("--segment", "is for models that remember segments, such as Transformer-XL",
                "read in windows: --stride");
  if (options_.segment > 0 && options_.stride > 0)
    throw Error("--segment", "and --stride are two ways of reading a long text", "give one of them");
  if (spec.embeddings.query && options_.stride > 0)
    throw Error("--stride", "is not for this model, which is asked for tokens that it has not seen",
                "let it read in segments: --segment");
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
  if (std::ssize(ids) > base_.limit() && options_.stride == 0 && !remembers()) {
    if (!base_.options().truncate)
      throw base_.too_long("text", std::ssize(ids) - base_.tokenizer().special_count(false), false,
                           fmt::format("read it in windows (--stride {}), or let it be cut (--truncate)",
                                       std::max<int64_t>(1, base_.limit() / 2)));
    ids.resize(static_cast<size_t>(base_.limit()));
  }
  return ids;
}

bool Scorer::remembers() const { return base_.model().spec().stack.past.has_value() && options_.stride == 0; }

int64_t Scorer::segment() const {
  constexpr int64_t usual = 512;
  const int64_t remembered = base_.model().spec().stack.past->length;
  const int64_t wanted = options_.segment > 0 ? options_.segment : remembered > 0 ? remembered : usual;
  return std::min(wanted, base_.limit());
}

std::vector<TextScore> Scorer::score(std::span<const std::vector<int32_t>> texts) const {
  std::vector<TextScore> results;
  for (const std::vector<int32_t>& ids : texts) results.push_back({ids, std::vector<float>(ids.size() - 1)});
  if (remembers()) {
    score_in_segments(texts, results);
  } else {
    score_in_windows(texts, results);
  }
  return results;
}

void Scorer::score_in_windows(std::span<const std::vector<int32_t>> texts, std::vector<TextScore>& results) const {
  struct Window {
    size_t text;
    int64_t begin;
    int64_t first;  // the first token that is scored here
  };
  std::vector<Window> windows;
  std::vector<Row> rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<int32_t>& ids = texts[i];
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
    const Tensor h = base_.hidden(batch.inputs);
    visit_vocabulary_scores(base_, h, places, [&](size_t i, std::span<const float> logits) {
      const auto [text, token] = targets[i];
      const double logit = logits[static_cast<size_t>(texts[text][token])];
      results[text].log_probabilities[token - 1] = static_cast<float>(logit - log_partition(logits));
    });
  });
}

namespace {

// Hides from each token, and from what is asked in its place, the tokens behind it; from the latter its own too.
// XLNet's tokens see themselves whatever is hidden.
Tensor hidden_from_left_to_right(int64_t rows, int64_t length) {
  std::vector<uint8_t> hidden;
  for (int64_t b = 0; b < rows; ++b)
    for (int64_t t = 0; t < length; ++t)
      for (int64_t s = 0; s < length; ++s) hidden.push_back(s >= t ? 1 : 0);
  return Tensor::from({rows, length, length}, hidden);
}

Tensor every_place(int64_t rows, int64_t length) {
  std::vector<int32_t> places;
  for (int64_t i = 0; i < rows * length; ++i) places.push_back(static_cast<int32_t>(i % length));
  return Tensor::from({rows, length}, places);
}

}  // namespace

// Texts go on side by side, longest first, so that those that have ended are the last rows and fall away. Nothing that
// counts comes behind the padding of a last segment, so it needs no mask.
void Scorer::score_in_segments(std::span<const std::vector<int32_t>> texts, std::vector<TextScore>& results) const {
  const NoGrad no_grad;
  const bool asks = base_.model().spec().embeddings.query;
  const int64_t longest = segment();
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return texts[a].size() > texts[b].size(); });
  const auto at_once = static_cast<size_t>(std::max<int64_t>(1, base_.options().batch_tokens / longest));
  for (size_t first = 0; first < order.size(); first += at_once) {
    std::span<const size_t> rows = std::span(order).subspan(first, std::min(at_once, order.size() - first));
    const int64_t end = std::ssize(texts[rows.front()]);
    Past past;
    for (int64_t begin = 0; begin < end; begin += longest) {
      while (std::ssize(texts[rows.back()]) <= begin) rows = rows.first(rows.size() - 1);
      const int64_t count = std::ssize(rows), length = std::min(longest, end - begin);
      for (Tensor& state : past.states) state = state.narrow(0, 0, count);
      std::vector<int32_t> ids(static_cast<size_t>(count * length), 0);
      std::vector<int32_t> places;
      std::vector<std::pair<size_t, size_t>> targets;  // of each place: text and token
      for (int64_t r = 0; r < count; ++r) {
        const std::vector<int32_t>& text = texts[rows[static_cast<size_t>(r)]];
        for (int64_t t = 0; t < length && begin + t < std::ssize(text); ++t) {
          ids[static_cast<size_t>(r * length + t)] = text[static_cast<size_t>(begin + t)];
          const int64_t token = begin + t + (asks ? 0 : 1);
          if (token == 0 || token >= std::ssize(text)) continue;
          places.push_back(static_cast<int32_t>(r * length + t));
          targets.emplace_back(rows[static_cast<size_t>(r)], static_cast<size_t>(token));
        }
      }
      Inputs inputs{.input_ids = Tensor::from({count, length}, ids)};
      if (asks) {
        inputs.hidden_pairs = hidden_from_left_to_right(count, length);
        inputs.targets = every_place(count, length);
      }
      Context context = base_.context();
      context.past = &past;
      const Tensor h = base_.model().hidden(inputs, context);
      visit_vocabulary_scores(base_, h, places, [&](size_t i, std::span<const float> logits) {
        const auto [text, token] = targets[i];
        const double logit = logits[static_cast<size_t>(texts[text][token])];
        results[text].log_probabilities[token - 1] = static_cast<float>(logit - log_partition(logits));
      });
    }
    if (base_.options().on_batch)
      base_.options().on_batch(static_cast<int64_t>(std::min(first + at_once, order.size())), std::ssize(texts));
  }
}

TextScore Scorer::score(std::string_view text) const {
  const std::vector<int32_t> one = ids(text);
  return score(std::span(&one, 1))[0];
}

}  // namespace qkv
