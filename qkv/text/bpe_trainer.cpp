#include "qkv/text/bpe_trainer.h"

#include "qkv/core/error.h"
#include <algorithm>
#include <unordered_map>

namespace qkv {
namespace {

using Pair = uint64_t;  // left token, right token; ordered as the pair is

constexpr Pair pair_of(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}
constexpr int32_t left_of(Pair pair) { return static_cast<int32_t>(pair >> 32); }
constexpr int32_t right_of(Pair pair) { return static_cast<int32_t>(pair & 0xFFFFFFFF); }

struct PairHash {
  size_t operator()(Pair pair) const { return mix(pair, 0); }
};

// Open addressing; a pair's counter stays where it is found until the next new pair.
class PairCounts {
 public:
  int64_t& operator[](Pair pair) {
    if (size_ * 2 >= slots_.size()) grow();
    Slot& found = slot(pair);
    size_ += found.pair == none;
    found.pair = pair;
    return found.count;
  }

 private:
  static constexpr Pair none = ~Pair{0};
  struct Slot {
    Pair pair = none;
    int64_t count = 0;
  };

  Slot& slot(Pair pair) {
    const size_t mask = slots_.size() - 1;
    size_t at = mix(pair, 0) & mask;
    while (slots_[at].pair != none && slots_[at].pair != pair) at = (at + 1) & mask;
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(std::max<size_t>(1 << 12, slots_.size() * 2));
    std::swap(old, slots_);
    for (const Slot& entry : old)
      if (entry.pair != none) slot(entry.pair) = entry;
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

using Positions = std::vector<uint32_t>;  // indices of words

// A pair to merge, with the words where it was seen when this entry was made.
struct MergeCandidate {
  int64_t count;
  Pair pair;
  Positions words;
};

}  // namespace

void TokenWords::add(std::span<const int32_t> tokens, int64_t count) {
  words_.push_back({tokens_.size(), static_cast<uint32_t>(tokens.size()), count});
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

class MergeSearch {
 public:
  MergeSearch(TokenWords words, Vocabulary vocabulary, const MergeOptions& options)
      : vocabulary_(std::move(vocabulary)),
        options_(options),
        words_(std::move(words.words_)),
        tokens_(std::move(words.tokens_)) {
    if (words_.size() >= ~uint32_t{0}) throw Error("tokenizer train", "the text has too many different words");
    for (uint32_t i = 0; i < words_.size(); ++i) {
      const TokenWords::Word& word = words_[i];
      const int32_t* const token = &tokens_[word.begin];
      for (uint32_t k = 0; k + 1 < word.length; ++k) change(pair_of(token[k], token[k + 1]), word.count, i);
    }
    queue_changed();
  }

  BpeMerges run() {
    BpeMerges out;
    while (vocabulary_.size() < options_.vocab_size && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), is_behind);
      MergeCandidate top = std::move(queue_.back());
      queue_.pop_back();
      if (const int64_t count = counts_[top.pair]; count != top.count) {
        top.count = count;
        push(std::move(top));
        continue;
      }
      if (top.count < 1 || top.count < options_.min_frequency) break;
      const int32_t left = left_of(top.pair), right = right_of(top.pair);
      std::string joined(vocabulary_.token(left));
      std::string_view tail = vocabulary_.token(right);
      if (tail.starts_with(options_.continuing_prefix)) tail.remove_prefix(options_.continuing_prefix.size());
      joined += tail;
      // Two pairs can make the same token; the second takes the first one's id.
      int32_t id = vocabulary_.find(joined);
      if (id == Vocabulary::none) {
        id = static_cast<int32_t>(vocabulary_.id_end());
        vocabulary_.add(joined, id, "tokenizer train");
      }
      out.merges.emplace_back(left, right);
      for (const uint32_t word : top.words) merge(word, left, right, id);
      queue_changed();
      if (options_.progress) options_.progress(vocabulary_.size());
    }
    out.vocabulary = std::move(vocabulary_);
    return out;
  }

 private:
  static bool is_behind(const MergeCandidate& a, const MergeCandidate& b) {
    return a.count != b.count ? a.count < b.count : a.pair > b.pair;
  }

  void push(MergeCandidate candidate) {
    queue_.push_back(std::move(candidate));
    std::push_heap(queue_.begin(), queue_.end(), is_behind);
  }

  void change(Pair pair, int64_t count, uint32_t word) {
    counts_[pair] += count;
    if (count < 0) return;
    Positions& words = changed_[pair];
    if (words.empty() || words.back() != word) words.push_back(word);
  }

  void queue_changed() {
    for (auto& [pair, words] : changed_)
      if (const int64_t count = counts_[pair]; count > 0) push({count, pair, std::move(words)});
    changed_.clear();
  }

  void merge(uint32_t index, int32_t left, int32_t right, int32_t joined) {
    TokenWords::Word& word = words_[index];
    int32_t* const token = &tokens_[word.begin];
    uint32_t to = 0;
    for (uint32_t from = 0; from < word.length; ++from, ++to) {
      token[to] = token[from];
      if (token[from] != left || from + 1 == word.length || token[from + 1] != right) continue;
      token[to] = joined;
      if (to > 0) {
        change(pair_of(token[to - 1], left), -word.count, index);
        change(pair_of(token[to - 1], joined), word.count, index);
      }
      ++from;
      if (from + 1 < word.length) {
        change(pair_of(right, token[from + 1]), -word.count, index);
        change(pair_of(joined, token[from + 1]), word.count, index);
      }
    }
    word.length = to;
  }

  Vocabulary vocabulary_;
  const MergeOptions& options_;
  std::vector<TokenWords::Word> words_;
  std::vector<int32_t> tokens_;
  PairCounts counts_;
  std::unordered_map<Pair, Positions, PairHash> changed_;  // pairs that became more frequent, and where
  std::vector<MergeCandidate> queue_;                      // a heap
};

BpeMerges find_merges(TokenWords words, Vocabulary vocabulary, const MergeOptions& options) {
  return MergeSearch(std::move(words), std::move(vocabulary), options).run();
}

}  // namespace qkv
