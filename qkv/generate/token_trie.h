// A set of token sequences, as a tree of their beginnings: what may follow when only these may be written (De Cao et
// al. 2021, arXiv 2010.00904).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace qkv {

class TokenTrie {
 public:
  void add(std::span<const int32_t> sequence);

  // What follows a beginning: the tokens that go on in some sequence, and whether one is complete here. Neither for
  // what no sequence begins with.
  struct Next {
    std::vector<int32_t> tokens;
    bool complete = false;
  };
  Next after(std::span<const int32_t> beginning) const;

 private:
  struct Branch {
    std::map<int32_t, size_t> children;  // token -> place in branches_
    bool complete = false;
  };
  std::vector<Branch> branches_{1};
};

}  // namespace qkv
