#include "qkv/generate/beam_search.h"

#include "qkv/generate/penalties.h"
#include "qkv/generate/sampling.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

constexpr double never = -1e9;

struct Beam {
  std::vector<int32_t> ids;  // generated
  double score = never;      // running: sum of log probabilities; finished: that over length^penalty
  bool finished = false;
  bool ended = false;
};

// A possible next step of one search.
struct Step {
  size_t beam;
  int32_t token;
  double score;
};

// The beams of one prompt.
class Search {
 public:
  Search(const std::vector<int32_t>& prompt, const GenerationOptions& options, int64_t limit)
      : prompt_(prompt),
        options_(options),
        limit_(limit),
        running_(static_cast<size_t>(options.num_beams)),
        best_(running_.size()) {
    running_[0].score = 0;
  }

  bool done() const { return done_; }

  // One step from the next-token scores of the running beams. Returns, for each new running beam, which one it
  // continues; the tokens are its last ids.
  std::vector<size_t> advance(const std::vector<std::vector<float>>& logits) {
    std::vector<Step> steps = likeliest(logits);
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
    decide(length, std::find(stops.begin(), stops.end(), false) == stops.end());
    return sources;
  }

  const std::vector<Beam>& running() const { return running_; }

  std::vector<Continuation> results() const {
    std::vector<Continuation> results;
    for (size_t i = 0; i < static_cast<size_t>(options_.num_return_sequences); ++i)
      results.push_back({best_[i].ids, {}, best_[i].score, best_[i].ended});
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
  std::vector<Step> likeliest(const std::vector<std::vector<float>>& logits) const {
    const size_t keep = std::max<size_t>(2, 1 + options_.end_ids.size()) * running_.size();
    std::vector<Step> steps;
    for (size_t b = 0; b < running_.size(); ++b) {
      std::vector<float> scores = logits[b];
      to_log_probabilities(scores);
      std::vector<int32_t> ids = prompt_;
      ids.insert(ids.end(), running_[b].ids.begin(), running_[b].ids.end());
      apply_penalties(scores, ids, prompt_.size(), options_);
      for (size_t v = 0; v < scores.size(); ++v)
        steps.push_back({b, static_cast<int32_t>(v), running_[b].score + scores[v]});
    }
    const size_t count = std::min(keep, steps.size());
    std::partial_sort(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(count), steps.end(),
                      [](const Step& a, const Step& b) {
                        if (a.score != b.score) return a.score > b.score;
                        return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
                      });
    steps.resize(count);
    return steps;
  }

  // Of the first num_beams steps, those that stop join the finished ones, of which the best num_beams stay.
  void take_finished(const std::vector<Step>& steps, const std::vector<bool>& stops, int64_t length) {
    const bool full = std::all_of(best_.begin(), best_.end(), [](const Beam& beam) { return beam.finished; });
    const bool closed = !improvable_ || (full && options_.early_stopping == EarlyStopping::yes);
    for (size_t i = 0; i < std::min(steps.size(), running_.size()) && !closed; ++i) {
      if (!stops[i]) continue;
      Beam beam = extended(steps[i]);
      beam.score = normalised(steps[i].score, length);
      beam.finished = true;
      beam.ended = ends(steps[i].token);
      best_.push_back(std::move(beam));
    }
    std::stable_sort(best_.begin(), best_.end(), [](const Beam& a, const Beam& b) { return a.score > b.score; });
    best_.resize(running_.size());
  }

  void decide(int64_t length, bool none_goes_on) {
    const bool hopeful = options_.early_stopping == EarlyStopping::never && options_.length_penalty > 0;
    const double reachable = normalised(running_[0].score, hopeful ? limit_ : length);
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
  std::vector<Search> searches;
  std::vector<int32_t> rows;
  for (size_t p = 0; p < prompts.size(); ++p) {
    searches.emplace_back(prompts[p], options, limit);
    rows.insert(rows.end(), static_cast<size_t>(options.num_beams), static_cast<int32_t>(p));
  }
  decoding.select_rows(rows);
  while (true) {
    const size_t beams = static_cast<size_t>(options.num_beams);
    std::vector<int32_t> sources;
    std::vector<int32_t> tokens;
    bool all_done = true;
    for (size_t p = 0; p < searches.size(); ++p) {
      std::vector<size_t> continued(beams, 0);
      if (!searches[p].done()) {
        std::vector<std::vector<float>> logits;
        for (size_t b = 0; b < beams; ++b) logits.push_back(decoding.logits(p * beams + b));
        continued = searches[p].advance(logits);
      }
      all_done = all_done && searches[p].done();
      for (size_t b = 0; b < beams; ++b) {
        sources.push_back(static_cast<int32_t>(p * beams + continued[b]));
        tokens.push_back(searches[p].running()[b].ids.back());
      }
    }
    if (all_done) break;
    decoding.select_rows(sources);
    decoding.advance(tokens);
  }
  std::vector<std::vector<Continuation>> results;
  for (const Search& search : searches) results.push_back(search.results());
  return results;
}

}  // namespace qkv
