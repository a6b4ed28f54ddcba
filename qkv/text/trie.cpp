#include "qkv/text/trie.h"

#include <algorithm>

namespace qkv {

// Sorted keys [begin, end) that share their first `depth` bytes, and the node where those lead.
struct Trie::Range {
  size_t begin;
  size_t end;
  size_t depth;
  int32_t node;
};

Trie::Trie(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::erase_if(keys, [](const auto& key) { return key.first.empty(); });
  if (keys.empty()) return;
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  keys.erase(std::unique(keys.begin(), keys.end(), same), keys.end());

  nodes_.resize(512);
  nodes_[0].parent = 0;
  std::vector<Range> pending{{0, keys.size(), 0, 0}};
  std::vector<uint8_t> labels;
  std::vector<size_t> starts;
  while (!pending.empty()) {
    const Range range = pending.back();
    pending.pop_back();
    size_t i = range.begin;
    if (keys[i].first.size() == range.depth) nodes_[range.node].value = keys[i++].second;
    labels.clear();
    starts.clear();
    for (; i < range.end; ++i) {
      const auto label = static_cast<uint8_t>(keys[i].first[range.depth]);
      if (!labels.empty() && labels.back() == label) continue;
      labels.push_back(label);
      starts.push_back(i);
    }
    if (labels.empty()) continue;
    starts.push_back(range.end);
    const int32_t base = find_base(labels);
    nodes_[range.node].base = base;
    for (size_t k = 0; k < labels.size(); ++k) {
      nodes_[base + labels[k]].parent = range.node;
      pending.push_back({starts[k], starts[k + 1], range.depth + 1, base + labels[k]});
    }
  }
}

// The lowest base for which all children fall on free nodes. Nodes before first_free_ are taken, or were passed over
// so often that looking there again would not pay.
int32_t Trie::find_base(const std::vector<uint8_t>& labels) {
  constexpr int32_t patience = 512;  // nodes looked at
  const auto grow = [&](int32_t base) {
    if (static_cast<size_t>(base) + 256 > nodes_.size()) nodes_.resize(std::max(nodes_.size() * 2, size_t(base) + 256));
  };
  const int32_t begin = std::max(first_free_, int32_t{labels[0]} + 1);
  for (int32_t at = begin;; ++at) {
    grow(at);
    if (nodes_[at].parent != -1) continue;
    const int32_t base = at - labels[0];
    grow(base);
    const bool fits =
        std::all_of(labels.begin(), labels.end(), [&](uint8_t l) { return nodes_[base + l].parent == -1; });
    if (fits) {
      if (at - begin >= patience) first_free_ = std::max(first_free_, at);
      while (static_cast<size_t>(first_free_) < nodes_.size() && nodes_[first_free_].parent != -1) ++first_free_;
      return base;
    }
  }
}

}  // namespace qkv
