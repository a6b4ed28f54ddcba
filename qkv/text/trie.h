// A set of strings with values, asked which of them a text begins with. A double array (Aoe, "An efficient digital
// search algorithm by using a double-array structure", 1989): a step is one array look-up.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

class Trie {
 public:
  Trie() = default;
  // Keys with values >= 0; empty keys are left out, of equal keys the first counts.
  explicit Trie(std::vector<std::pair<std::string_view, int32_t>> keys);

  // Calls found(bytes, value) for every key that stands at `p`, shorter ones first.
  template <typename Found>
  void for_each_prefix(const char* p, const char* end, Found&& found) const {
    if (nodes_.empty()) return;
    int32_t node = 0;
    for (const char* q = p; q < end;) {
      const int32_t next = nodes_[node].base + static_cast<uint8_t>(*q++);
      if (nodes_[next].parent != node) return;
      node = next;
      if (nodes_[node].value >= 0) found(static_cast<uint32_t>(q - p), nodes_[node].value);
    }
  }

  // The bytes of the longest key at `p`, 0 for none; `value` becomes its value.
  uint32_t longest(const char* p, const char* end, int32_t& value) const {
    uint32_t bytes = 0;
    for_each_prefix(p, end, [&](uint32_t n, int32_t v) { bytes = n, value = v; });
    return bytes;
  }

  bool empty() const { return nodes_.empty(); }

 private:
  struct Node {
    int32_t base = 0;
    int32_t parent = -1;  // -1: free
    int32_t value = -1;
  };
  struct Range;
  int32_t find_base(const std::vector<uint8_t>& labels);

  std::vector<Node> nodes_;  // any node's base + 255 is inside
  int32_t first_free_ = 1;
};

}  // namespace qkv
