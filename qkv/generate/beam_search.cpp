#include "qkv/generate/beam_search.h"

#include "qkv/core/threads.h"
#include "qkv/generate/penalties.h"
#include "qkv/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace qkv {
namespace {

constexpr double never = -1e9;
constexpr double impossible = -std::numeric_limits<double>::infinity();

struct Beam {
  std::vector<int32_t> ids;   // generated
  double score = impossible;  // running: sum of log probabilities; finished: that over length^penalty
  bool finished = false;
  bool ended = false;
};

// A possible next step of one search.
struct Step {
  size_t beam;
  int32_t token;
  double score;
};

bool better(const Step& a, const Step& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
}

// The beams of one prompt, or a group of them.
class Search {
 public:
  Search(const std::vector<int32_t>& prompt, const GenerationOptions& options, int64_t limit)
      : prompt_(prompt),
        options_(options),
        limit_(limit),
        running_(static_cast<size_t>(options.num_beams / options.num_beam_groups)),
        best_(running_.size()) {
    running_[0].score = 0;
  }

  bool done() const { return done_; }

  // One step from the next-token scores of the running beams; `taken` are the tokens that earlier groups' beams have
  // just taken. Returns, for each new running beam, which one it continues; the tokens are its last ids.
  std::vector<size_t> advance(const std::vector<std::span<const float>>& logits, const std::vector<int32_t>& taken) {
    std::vector<Step> steps = likeliest(logits, taken);
    const int64_t length = static_cast<int64_t>(running_[0].ids.size()) + 1;
    std::vector<bool> stops;
    for (const Step& step : steps) stops.push_back(length >= limit_ || ends(step.token));
    take_finished(steps, stops, length);

    std::vector<Beam> next;
    std::vector<size_t> sources;
    // Those that stopped come last, so that the shape stays whole when too few go on.
    for (const bool stopped : {false, true})
      for (size_t i = 0; i < steps.size() && next.size() < running_.size(); ++i)
        if (stops[i] == stopped) {
          next.push_back(extended(steps[i]));
          next.back().score = steps[i].score + (stopped ? never : 0);
          sources.push_back(steps[i].beam);
        }
    running_ = std::move(next);
    // The reference's groups hope for the best step, whether it stops or not; its beams without groups for what runs
    // on.
    const double best = options_.num_beam_groups > 1 ? steps[0].score : running_[0].score;
    decide(best, length, std::find(stops.begin(), stops.end(), false) == stops.end());
    return sources;
  }

  const std::vector<Beam>& running() const { return running_; }

  // Best first. Where bans leave no way to an end, what was left running.
  std::vector<Continuation> results() const {
    std::vector<Continuation> results;
    for (const Beam& beam : best_)
      if (beam.finished) results.push_back({beam.ids, {}, beam.score, beam.ended});
    if (results.empty()) results.push_back({running_[0].ids, {}, running_[0].score, false});
    return results;
  }

 private:
  bool ends(int32_t token) const {
    return std::find(options_.end_ids.begin(), options_.end_ids.end(), token) != options_.end_ids.end();
  }

  double normalised(double score, int64_t length) const {
    return score / std::pow(static_cast<double>(length), static_cast<double>(options_.length_penalty));
  }

  Beam extended(const Step& step) const {
    Beam beam{running_[step.beam].ids, step.score};
    beam.ids.push_back(step.token);
    return beam;
  }

  // The best (1 + end tokens, at least 2) x beams steps, so that enough go on even if all end.
  std::vector<Step> likeliest(const std::vector<std::span<const float>>& logits,
                              const std::vector<int32_t>& taken) const {
    const size_t keep = std::max<size_t>(2, 1 + options_.end_ids.size()) * running_.size();
    std::vector<Step> steps;
    for (size_t b = 0; b < running_.size(); ++b) {
      std::vector<float> scores(logits[b].begin(), logits[b].end());
      to_log_probabilities(scores);
      for (const int32_t token : taken) scores[static_cast<size_t>(token)] -= options_.diversity_penalty;
      std::vector<int32_t> ids = prompt_;
      ids.insert(ids.end(), running_[b].ids.begin(), running_[b].ids.end());
      apply_penalties(scores, ids, prompt_.size(), options_);
      for (size_t v = 0; v < scores.size(); ++v) {
        // A heap of the best so far; its front is the worst of them.
        const Step step{b, static_cast<int32_t>(v), running_[b].score + scores[v]};
        if (steps.size() == keep) {
          if (!better(step, steps.front())) continue;
          std::pop_heap(steps.begin(), steps.end(), better);
          steps.pop_back();
        }
        steps.push_back(step);
        std::push_heap(steps.begin(), steps.end(), better);
      }
    }
    std::sort_heap(steps.begin(), steps.end(), better);
    return steps;
  }

  // Of the first num_beams steps, those that stop join the finished ones, of which the best num_beams stay.
  void take_finished(const std::vector<Step>& steps, const std::vector<bool>& stops, int64_t length) {
    const bool full = std::all_of(best_.begin(), best_.end(), [](const Beam& beam) { return beam.finished; });
    const bool closed = !improvable_ || (full && options_.early_stopping == EarlyStopping::yes);
    for (size_t i = 0; i < std::min(steps.size(), running_.size()) && !closed; ++i) {
      if (!stops[i] || !std::isfinite(steps[i].score)) continue;  // what is banned is no result
      Beam beam = extended(steps[i]);
      beam.score = normalised(steps[i].score, length);
      beam.finished = true;
      beam.ended = ends(steps[i].token);
      best_.push_back(std::move(beam));
    }
    std::stable_sort(best_.begin(), best_.end(), [](const Beam& a, const Beam& b) { return a.score > b.score; });
    best_.resize(running_.size());
  }

  void decide(double best, int64_t length, bool none_goes_on) {
    const bool hopeful = options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0;
    const double reachable = normalised(best, hopeful ? limit_ : length);
    const bool full = std::all_of(best_.begin(), best_.end(), [](const Beam& beam) { return beam.finished; });
    // Unfinished places count as `never`, so a search with free places always goes on.
    improvable_ = improvable_ && reachable > (best_.back().finished ? best_.back().score : never);
    done_ = none_goes_on || !improvable_ || (full && options_.early_stopping == EarlyStopping::yes);
  }

  const std::vector<int32_t>& prompt_;
  const GenerationOptions& options_;
  int64_t limit_;
  std::vector<Beam> running_;
  std::vector<Beam> best_;
  bool improvable_ = true;
  bool done_ = false;
};

}  // namespace

std::vector<std::vector<Continuation>> beam_search(Decoding& decoding, const std::vector<std::vector<int32_t>>& prompts,
                                                   const GenerationOptions& options, int64_t limit) {
  const size_t groups = static_cast<size_t>(options.num_beam_groups);
  const size_t beams = static_cast<size_t>(options.num_beams) / groups;
  std::vector<Search> searches;  // by prompt, then by group
  std::vector<int32_t> rows;     // the prompt of each beam
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (size_t g = 0; g < groups; ++g) searches.emplace_back(prompts[p], options, limit);
    rows.insert(rows.end(), groups * beams, static_cast<int32_t>(p));
  }
  decoding.select_rows(rows);
  while (true) {
    std::vector<int32_t> sources(rows.size()), tokens(rows.size());
    // What is allowed may be asked of a function that is not made for several threads.
    const int64_t grain = options.allowed ? std::ssize(prompts) : 1;
    parallel_for(std::ssize(prompts), grain, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> taken;
      for (size_t s = static_cast<size_t>(begin) * groups; s < static_cast<size_t>(end) * groups; ++s) {
        Search& search = searches[s];
        if (s % groups == 0) taken.clear();
        std::vector<size_t> continued(beams, 0);
        if (!search.done()) {
          std::vector<std::span<const float>> logits;
          for (size_t b = 0; b < beams; ++b) logits.push_back(decoding.logits(s * beams + b));
          continued = search.advance(logits, taken);
          for (const Beam& beam : search.running()) taken.push_back(beam.ids.back());
        }
        for (size_t b = 0; b < beams; ++b) {
          sources[s * beams + b] = static_cast<int32_t>(s * beams + continued[b]);
          tokens[s * beams + b] = search.running()[b].ids.back();
        }
      }
    });
    const bool all_done =
        std::all_of(searches.begin(), searches.end(), [](const Search& search) { return search.done(); });
    if (all_done) break;
    decoding.select_rows(sources, false);
    decoding.advance(tokens);
  }
  std::vector<std::vector<Continuation>> results(prompts.size());
  for (size_t s = 0; s < searches.size(); ++s) {
    std::vector<Continuation> of_group = searches[s].results();
    std::vector<Continuation>& all = results[s / groups];
    std::move(of_group.begin(), of_group.end(), std::back_inserter(all));
  }
  for (std::vector<Continuation>& all : results) {
    std::stable_sort(all.begin(), all.end(),
                     [](const Continuation& a, const Continuation& b) { return a.score > b.score; });
    all.resize(std::min(all.size(), static_cast<size_t>(options.num_return_sequences)));
  }
  return results;
}

}  // namespace qkv
