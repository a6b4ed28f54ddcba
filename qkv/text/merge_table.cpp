#include "qkv/text/merge_table.h"

#include <queue>

namespace qkv {
namespace {

constexpr size_t short_piece = 48;  // symbols; above, a heap beats looking at all pairs after each merge

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

void MergeTable::reserve(size_t merges) {
  size_t slots = 16;
  while (slots < merges * 2 + 1) slots *= 2;
  slots_.assign(slots, {no_pair, no_rank, 0});
}

// Where the pair is, or the empty slot where it would be.
size_t MergeTable::slot_of(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = mix(pair, 0) & mask;
  while (slots_[slot].pair != no_pair && slots_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

void MergeTable::add(int32_t left, int32_t right, uint32_t rank, int32_t joined) {
  const uint64_t key = pair_key(left, right);
  slots_[slot_of(key)] = {key, rank, joined};
}

const MergeTable::Slot* MergeTable::find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[slot_of(pair_key(left, right))];
  return slot.pair == no_pair ? nullptr : &slot;
}

void MergeTable::apply(std::vector<ModelToken>& symbols, size_t first, size_t least) const {
  if (slots_.empty() || symbols.size() < first + 2) return;
  if (symbols.size() - first <= short_piece) {
    apply_short(symbols, first, least);
  } else {
    apply_long(symbols, first, least);
  }
}

void MergeTable::apply_short(std::vector<ModelToken>& symbols, size_t first, size_t least) const {
  struct Candidate {
    uint32_t rank;
    int32_t joined;
  };
  ModelToken* const s = symbols.data() + first;
  size_t count = symbols.size() - first;
  Candidate pairs[short_piece];  // pairs[i] joins symbols i and i + 1
  const auto look = [&](size_t i) -> Candidate {
    const Slot* const found = find(s[i].id, s[i + 1].id);
    return found ? Candidate{found->rank, found->joined} : Candidate{no_rank, 0};
  };
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = look(i);
  while (count > least) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == no_rank) break;
    s[best] = {pairs[best].joined, s[best].begin, s[best + 1].end};
    for (size_t i = best + 1; i + 1 < count; ++i) s[i] = s[i + 1];
    for (size_t i = best + 1; i + 2 < count; ++i) pairs[i] = pairs[i + 1];
    --count;
    if (best > 0) pairs[best - 1] = look(best - 1);
    if (best + 1 < count) pairs[best] = look(best);
  }
  symbols.resize(first + count);
}

void MergeTable::apply_long(std::vector<ModelToken>& symbols, size_t first, size_t least) const {
  struct Candidate {
    uint32_t rank;
    uint32_t at;
    int32_t left;
    int32_t right;
    int32_t joined;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  constexpr uint32_t none = ~uint32_t{0};
  const auto count = static_cast<uint32_t>(symbols.size() - first);
  ModelToken* const s = symbols.data() + first;
  std::vector<uint32_t> previous(count), next(count);
  for (uint32_t i = 0; i < count; ++i) previous[i] = i == 0 ? none : i - 1, next[i] = i + 1 == count ? none : i + 1;
  std::vector<bool> gone(count);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](uint32_t i) {
    if (i == none || next[i] == none) return;
    const int32_t left = s[i].id, right = s[next[i]].id;
    if (const Slot* found = find(left, right)) queue.push({found->rank, i, left, right, found->joined});
  };
  for (uint32_t i = 0; i < count; ++i) consider(i);
  for (size_t left_over = count; left_over > least && !queue.empty();) {
    const Candidate top = queue.top();
    queue.pop();
    const uint32_t right = gone[top.at] ? none : next[top.at];
    if (right == none || s[top.at].id != top.left || s[right].id != top.right) continue;  // merged since
    s[top.at] = {top.joined, s[top.at].begin, s[right].end};
    gone[right] = true;
    --left_over;
    next[top.at] = next[right];
    if (next[right] != none) previous[next[right]] = top.at;
    consider(previous[top.at]);
    consider(top.at);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i < count; ++i)
    if (!gone[i]) s[kept++] = s[i];
  symbols.resize(first + kept);
}

}  // namespace qkv
