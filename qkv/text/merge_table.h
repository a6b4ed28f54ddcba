// The merges of byte-pair encoding, and the loop that applies them.
#pragma once

#include "qkv/text/hash.h"
#include "qkv/text/token_model.h"

#include <cstdint>
#include <vector>

namespace qkv {

class MergeTable {
 public:
  // Makes room for so many merges.
  void reserve(size_t merges);
  // Joins the neighbours left and right; lower ranks go first. Of a repeated pair the last counts. Needs reserve().
  void add(int32_t left, int32_t right, uint32_t rank, int32_t joined);

  // Applies the merge of lowest rank to symbols[first...], of equal ranks the leftmost, until none applies or `least`
  // symbols are left.
  void apply(std::vector<ModelToken>& symbols, size_t first, size_t least = 1) const;

 private:
  struct Slot {
    uint64_t pair;
    uint32_t rank;
    int32_t joined;
  };
  static constexpr uint64_t no_pair = ~uint64_t{0};
  static constexpr uint32_t no_rank = ~uint32_t{0};

  size_t slot_of(uint64_t pair) const;
  const Slot* find(int32_t left, int32_t right) const;
  void apply_short(std::vector<ModelToken>& symbols, size_t first, size_t least) const;
  void apply_long(std::vector<ModelToken>& symbols, size_t first, size_t least) const;

  std::vector<Slot> slots_;
};

}  // namespace qkv
