#include "qkv/text/unigram_trainer.h"

#include "qkv/text/hash.h"
#include "qkv/text/trie.h"
#include "qkv/text/unicode.h"
#include "qkv/text/viterbi.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

namespace qkv {
namespace {

constexpr size_t seed_pieces = 1000000;
constexpr int64_t longest_piece = 16;   // characters
constexpr int em_steps = 2;             // between two prunings
constexpr double kept_share = 0.75;     // of the pieces, by one pruning
constexpr double surplus = 1.1;         // of pieces when pruning ends
constexpr double least_expected = 0.5;  // occurrences; pieces expected less often go

using Words = std::map<std::string, int64_t>;
using ScoredPieces = std::vector<ScoredPiece>;

// psi(x), the derivative of log gamma, for x > 0: recurrence up to 7, then the asymptotic series.
double digamma(double x) {
  double sum = 0;
  for (; x < 7; ++x) sum -= 1 / x;
  const double y = 1 / (x * x);
  return sum + std::log(x) - 0.5 / x - y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y / 132))));
}

double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == -INFINITY ? a : a + std::log1p(std::exp(b - a));
}

struct ViewHash {
  size_t operator()(std::string_view text) const { return hash_bytes(text); }
};

// All characters, and the substrings of words that come at least twice: those that cover most text.
ScoredPieces seed(const Words& words) {
  std::unordered_map<std::string_view, int64_t, ViewHash> counts;
  std::vector<size_t> starts;
  for (const auto& [word, count] : words) {
    starts.clear();
    for (size_t i = 0; i < word.size(); i += utf8_length(word[i])) starts.push_back(i);
    starts.push_back(word.size());
    const auto n = static_cast<int64_t>(starts.size()) - 1;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i + 1; j <= std::min(n, i + longest_piece); ++j)
        counts[std::string_view(word).substr(starts[i], starts[j] - starts[i])] += count;
  }
  struct Seed {
    std::string_view text;
    int64_t count;
    int64_t length;
    double weight() const { return static_cast<double>(count) * static_cast<double>(length); }
  };
  std::vector<Seed> seeds;
  for (const auto& [text, count] : counts) {
    const int64_t length = count_code_points(text);
    if (length == 1 || count > 1) seeds.push_back({text, count, length});
  }
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) {
    if ((a.length == 1) != (b.length == 1)) return a.length == 1;
    return a.weight() != b.weight() ? a.weight() > b.weight() : a.text < b.text;
  });
  if (seeds.size() > seed_pieces) seeds.resize(seed_pieces);
  double total = 0;
  for (const Seed& s : seeds) total += s.weight();
  ScoredPieces out;
  for (const Seed& s : seeds) out.push_back({std::string(s.text), std::log(s.weight() / total)});
  return out;
}

Trie trie_of(const ScoredPieces& pieces) {
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t i = 0; i < pieces.size(); ++i) keys.emplace_back(pieces[i].text, static_cast<int32_t>(i));
  return Trie(std::move(keys));
}

// How often each piece is expected, over all segmentations of every word: the forward-backward algorithm.
std::vector<double> expected_counts(const Words& words, const ScoredPieces& pieces) {
  const Trie trie = trie_of(pieces);
  std::vector<double> expected(pieces.size());
  struct Edge {
    uint32_t begin, end;
    int32_t id;
  };
  std::vector<Edge> edges;
  std::vector<double> forward, backward;
  for (const auto& [word, count] : words) {
    edges.clear();
    const char* const end = word.data() + word.size();
    forward.assign(word.size() + 1, -INFINITY);
    backward.assign(word.size() + 1, -INFINITY);
    forward[0] = backward[word.size()] = 0;
    for (uint32_t at = 0; at < word.size(); at += utf8_length(word[at]))
      trie.for_each_prefix(word.data() + at, end, [&](uint32_t bytes, int32_t id) {
        edges.push_back({at, at + bytes, id});
        forward[at + bytes] = log_add(forward[at + bytes], forward[at] + pieces[id].score);
      });
    for (auto edge = edges.rbegin(); edge != edges.rend(); ++edge)
      backward[edge->begin] = log_add(backward[edge->begin], backward[edge->end] + pieces[edge->id].score);
    const double whole = forward[word.size()];
    if (!std::isfinite(whole)) continue;
    for (const Edge& edge : edges)
      expected[edge.id] += static_cast<double>(count) *
                           std::exp(forward[edge.begin] + pieces[edge.id].score + backward[edge.end] - whole);
  }
  return expected;
}

bool is_character(const ScoredPiece& piece) { return piece.text.size() == size_t(utf8_length(piece.text[0])); }

// A step of expectation maximisation, with the digamma that stands for a sparse prior. Characters always stay.
void maximise(const Words& words, ScoredPieces& pieces) {
  const std::vector<double> expected = expected_counts(words, pieces);
  ScoredPieces kept;
  std::vector<double> counts;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (expected[i] < least_expected && !is_character(pieces[i])) continue;
    kept.push_back(std::move(pieces[i]));
    counts.push_back(std::max(expected[i], least_expected));
  }
  const double total = digamma(std::accumulate(counts.begin(), counts.end(), 0.0));
  for (size_t i = 0; i < kept.size(); ++i) kept[i].score = digamma(counts[i]) - total;
  pieces = std::move(kept);
}

// The best segmentation of a piece's text without the piece itself; empty when there is none.
std::vector<ModelToken> without_itself(const ScoredPieces& pieces, const Trie& trie, int32_t piece) {
  constexpr double never = -1e30;
  std::vector<ModelToken> out;
  const auto score = [&](int32_t id, uint32_t) { return id == piece ? never : pieces[id].score; };
  best_segmentation<double>(pieces[piece].text, trie, score, -1, never, out);
  if (std::any_of(out.begin(), out.end(), [&](const ModelToken& t) { return t.id == piece || t.id < 0; })) out.clear();
  return out;
}

// Drops the pieces whose loss would cost the least likelihood, each replaced by its best segmentation.
void prune(const Words& words, ScoredPieces& pieces, size_t wanted) {
  const Trie trie = trie_of(pieces);
  const auto score = [&](int32_t id, uint32_t) { return pieces[id].score; };
  std::vector<double> used(pieces.size());
  std::vector<ModelToken> path;
  double total = 0;
  for (const auto& [word, count] : words) {
    path.clear();
    best_segmentation<double>(word, trie, score, -1, -1e30, path);
    for (const ModelToken& token : path) {
      if (token.id < 0) continue;
      used[token.id] += static_cast<double>(count);
      total += static_cast<double>(count);
    }
  }
  struct Candidate {
    double loss;
    int32_t piece;
  };
  std::vector<Candidate> candidates;
  std::vector<bool> kept(pieces.size());
  size_t kept_count = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(pieces.size()); ++i) {
    const std::vector<ModelToken> others = without_itself(pieces, trie, i);
    if (is_character(pieces[i]) || others.empty()) {
      kept[i] = true;
      ++kept_count;
      continue;
    }
    double alternative = 0;
    for (const ModelToken& token : others) alternative += pieces[token.id].score;
    if (used[i] == 0 || alternative >= pieces[i].score) continue;
    const double log_total = std::log(total);
    const double log_total_without = std::log(total + used[i] * (static_cast<double>(others.size()) - 1));
    double without = 0;
    for (const ModelToken& token : others) without += std::log(used[token.id] + used[i]) - log_total_without;
    candidates.push_back({used[i] / total * (std::log(used[i]) - log_total - without), i});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.loss != b.loss ? a.loss > b.loss : a.piece < b.piece;
  });
  const auto target = std::max(wanted, static_cast<size_t>(kept_share * static_cast<double>(pieces.size())));
  for (const Candidate& candidate : candidates) {
    if (kept_count >= target) break;
    kept[candidate.piece] = true;
    ++kept_count;
  }
  ScoredPieces out;
  for (size_t i = 0; i < pieces.size(); ++i)
    if (kept[i]) out.push_back(std::move(pieces[i]));
  pieces = std::move(out);
}

}  // namespace

std::vector<ScoredPiece> train_unigram_pieces(const Words& words, int64_t size,
                                              const std::function<void(int64_t)>& progress) {
  ScoredPieces pieces = seed(words);
  const auto wanted = static_cast<size_t>(static_cast<double>(size) * surplus);
  while (true) {
    for (int i = 0; i < em_steps; ++i) maximise(words, pieces);
    if (progress) progress(static_cast<int64_t>(pieces.size()));
    if (pieces.size() <= wanted) break;
    const size_t before = pieces.size();
    prune(words, pieces, wanted);
    if (pieces.size() == before) break;
  }
  std::sort(pieces.begin(), pieces.end(), [](const ScoredPiece& a, const ScoredPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  });
  const auto characters = static_cast<int64_t>(std::count_if(pieces.begin(), pieces.end(), is_character));
  int64_t room = std::max<int64_t>(0, size - characters);
  std::erase_if(pieces, [&](const ScoredPiece& piece) { return !is_character(piece) && room-- <= 0; });
  return pieces;
}

}  // namespace qkv
