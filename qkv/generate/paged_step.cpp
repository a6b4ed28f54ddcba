// One pass of the model over the rows of many sequences, and what is chosen from its scores.
#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/generate/paged_scheduler.h"
#include "qkv/ops/embedding.h"

#include <algorithm>
#include <cmath>

namespace qkv {

// The stack's output [N, D] for the rows of all parts.
Tensor PagedScheduler::hidden_of(const std::vector<Part>& parts, bool draft) {
  Model& model = draft ? *draft_ : model_;
  PagedCache& cache = draft ? *draft_cache_ : cache_;
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<PagedRun> runs;
  for (const Part& part : parts) {
    Sequence& s = *part.sequence;
    const int64_t before = draft ? s.draft_cached : s.cached;
    take_pages(s, before + part.rows);
    for (int64_t at = before; at < before + part.rows; ++at) {
      ids.push_back(s.id_at(at));
      positions.push_back(static_cast<int32_t>(at));
    }
    runs.push_back({std::ssize(ids) - part.rows, part.rows, before + part.rows, s.pages});
  }
  cache.lay_out(std::move(runs));
  Context context;
  context.compute = options_.compute;
  context.pages = &cache;
  const Shape shape{1, std::ssize(ids)};
  const Tensor h =
      model.hidden({.input_ids = Tensor::from(shape, ids), .position_ids = Tensor::from(shape, positions)}, context);
  return h.view({shape[1], h.size(2)});
}

// On the host: of all rows that are to be scored, the parts' one after the other. Undefined where there are none.
Tensor PagedScheduler::logits_of(const std::vector<Part>& parts, bool draft) {
  WritingStep* writing = (draft ? draft_writing_ : writing_).get();
  const auto writes = [](const Part& part) { return part.rows == 1 && part.scored == 1; };
  if (writing != nullptr && std::all_of(parts.begin(), parts.end(), writes)) {
    std::vector<WritingStep::Row> rows;
    for (const Part& part : parts) {
      Sequence& s = *part.sequence;
      const int64_t position = draft ? s.draft_cached : s.cached;
      take_pages(s, position + 1);
      rows.push_back({s.id_at(position), position, s.pages});
    }
    return writing->run(rows).to({});
  }
  const Tensor h = hidden_of(parts, draft);
  std::vector<int32_t> rows;
  int64_t end = 0;
  for (const Part& part : parts) {
    end += part.rows;
    for (int64_t i = end - part.scored; i < end; ++i) rows.push_back(static_cast<int32_t>(i));
  }
  if (rows.empty()) return {};
  const int64_t count = std::ssize(rows);
  Context context;
  context.compute = options_.compute;
  const Model& model = draft ? *draft_ : model_;
  return model.vocabulary_logits(count == h.size(0) ? h : embedding(Tensor::from({count}, rows), h, h.dtype()), context)
      .to({});
}

bool PagedScheduler::forget_recordings() {
  const bool own = writing_ && writing_->forget_recordings();
  return (draft_writing_ && draft_writing_->forget_recordings()) || own;
}

void PagedScheduler::run(std::vector<Part> parts) {
  if (draft_ != nullptr) read_with_draft(parts);
  int64_t scored = 0;
  for (Part& part : parts) {
    const Sequence& s = *part.sequence;
    const bool all = s.scores_prompt && s.generated() == 0;
    const bool last = part.rows >= s.left() && s.limit > 0;
    part.scored = all ? part.rows : last ? 1 + std::ssize(s.guesses) : 0;
    part.logits = scored;
    scored += part.scored;
  }
  Tensor logits;
  try {
    logits = logits_of(parts, false);
  } catch (const Error&) {
    // What recordings hold may be what a long prompt lacks.
    if (!forget_recordings()) throw;
    logits = logits_of(parts, false);
  }
  if (writing_) stats_.replays = writing_->replays();
  std::vector<Part> choosing;
  for (Part& part : parts) {
    Sequence& s = *part.sequence;
    if (s.scores_prompt && s.generated() == 0) score_prompt(part, logits);
    const bool last = part.rows >= s.left();
    s.cached += part.rows - std::ssize(s.guesses);
    if (!last) continue;
    choosing.push_back(part);
    if (s.siblings.empty()) continue;
    const size_t first = running_.size();
    fork(s);
    for (size_t i = first; i < running_.size(); ++i) {
      choosing.push_back(part);
      choosing.back().sequence = running_[i].get();
    }
  }
  parallel_for(std::ssize(choosing), 1, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i)
      if (choosing[static_cast<size_t>(i)].sequence->limit > 0) choose(choosing[static_cast<size_t>(i)], logits);
  });
}

// The draft model reads prompts along with the model.
void PagedScheduler::read_with_draft(const std::vector<Part>& parts) {
  std::vector<Part> reading;
  for (const Part& part : parts) {
    const Sequence& s = *part.sequence;
    if (s.left() > 1 && s.draft_cached < s.cached + part.rows)
      reading.push_back({part.sequence, s.cached + part.rows - s.draft_cached});
  }
  if (reading.empty()) return;
  hidden_of(reading, true);
  for (const Part& part : reading) part.sequence->draft_cached += part.rows;
}

// Each guess is checked by choosing at its place as without it: what comes out is the same, token for token.
void PagedScheduler::choose(const Part& part, const Tensor& logits) {
  Sequence& s = *part.sequence;
  const int64_t vocab = logits.size(1);
  const int64_t first = part.logits + part.scored - 1 - std::ssize(s.guesses);
  size_t accepted = 0;
  for (size_t i = 0;; ++i) {
    const int64_t row = first + static_cast<int64_t>(i);
    const std::span<const float> plain(logits.data<float>() + row * vocab, static_cast<size_t>(vocab));
    const GenerationOptions& options = s.request->options;
    const LogProbabilities scores(plain);
    const int32_t token =
        scores.finite() ? choose_token(plain, s.ids, s.request->prompt.size(), options, s.random) : -1;
    if (token < 0) {
      s.failed = scores.finite() ? nothing_allowed : not_finite;
      break;
    }
    s.ids.push_back(token);
    s.window.push_back(token);
    s.chosen.push_back(scores.scored(token, s.request->likeliest));
    const bool ends = std::find(options.end_ids.begin(), options.end_ids.end(), token) != options.end_ids.end();
    if (i >= s.guesses.size() || token != s.guesses[i] || ends || s.generated() >= s.limit) break;
    ++accepted;
  }
  s.cached = std::ssize(s.window) - 1;
  s.draft_cached = std::min(s.draft_cached, s.cached);
  if (!s.guesses.empty())
    s.guessing = accepted == s.guesses.size() ? std::min(options_.drafts, 2 * s.guessing)
                                              : std::max<int64_t>(1, static_cast<int64_t>(accepted) + 1);
  s.guesses.clear();
}

// Row i of the part scores the token behind position cached + i.
void PagedScheduler::score_prompt(const Part& part, const Tensor& logits) {
  Sequence& s = *part.sequence;
  const int64_t vocab = logits.size(1);
  const int64_t count = std::clamp<int64_t>(std::ssize(s.request->prompt) - s.cached - 1, 0, part.rows);
  const size_t before = s.prompt_scores.size();
  s.prompt_scores.resize(before + static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      const std::span<const float> row(logits.data<float>() + (part.logits + i) * vocab, static_cast<size_t>(vocab));
      s.prompt_scores[before + static_cast<size_t>(i)] =
          LogProbabilities(row).scored(s.request->prompt[static_cast<size_t>(s.cached + i + 1)], s.request->likeliest);
    }
  });
}

bool PagedScheduler::tell(Sequence& s) {
  const Request& request = *s.request;
  const bool read = s.limit == 0 ? s.left() == 0 : s.generated() > 0;
  if (read && !s.prompt_scores.empty() && request.on_prompt) {
    request.on_prompt(s.prompt_scores);
    s.prompt_scores.clear();
  }
  if (s.limit == 0 && read) {
    finish(request, s.index, Finish::length);
    return false;
  }
  const int64_t before = s.generated() - std::ssize(s.chosen);
  for (size_t i = 0; i < s.chosen.size(); ++i) {
    const int32_t id = s.chosen[i].id;
    ++stats_.generated_tokens;
    if (i + 1 < s.chosen.size()) ++stats_.accepted_tokens;
    const auto& ends = request.options.end_ids;
    const bool end = std::find(ends.begin(), ends.end(), id) != ends.end();
    const bool stop = request.on_token && !request.on_token(s.index, s.chosen[i]);
    const bool full = before + static_cast<int64_t>(i) + 1 >= s.limit;
    if (end || stop || full) {
      finish(request, s.index, end ? Finish::end : stop ? Finish::stopped : Finish::length);
      return false;
    }
  }
  s.chosen.clear();
  if (s.failed == nullptr) return true;
  const bool stuck = s.failed == std::string_view(nothing_allowed);
  finish(request, s.index, stuck ? Finish::stuck : Finish::failed, s.failed);
  return false;
}

}  // namespace qkv
