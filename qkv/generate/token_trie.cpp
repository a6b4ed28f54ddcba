#include "qkv/generate/token_trie.h"

namespace qkv {

void TokenTrie::add(std::span<const int32_t> sequence) {
  size_t at = 0;
  for (const int32_t token : sequence) {
    const auto [child, fresh] = branches_[at].children.emplace(token, branches_.size());
    at = child->second;
    if (fresh) branches_.emplace_back();
  }
  branches_[at].complete = true;
}

TokenTrie::Next TokenTrie::after(std::span<const int32_t> beginning) const {
  size_t at = 0;
  for (const int32_t token : beginning) {
    const auto child = branches_[at].children.find(token);
    if (child == branches_[at].children.end()) return {};
    at = child->second;
  }
  Next next{.complete = branches_[at].complete};
  for (const auto& [token, place] : branches_[at].children) next.tokens.push_back(token);
  return next;
}

}  // namespace qkv
