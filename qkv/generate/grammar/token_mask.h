// Which tokens keep a text within a grammar. What cannot be spelled within it is never allowed: it fails closed.
#pragma once

#include "qkv/generate/grammar/grammar.h"
#include "qkv/generate/options.h"
#include "qkv/text/tokenizer.h"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace qkv {

// A vocabulary by its tokens' texts. Special tokens, and those that are parts of characters, are not in it.
class TokenTexts {
 public:
  explicit TokenTexts(const Tokenizer& tokenizer);

  struct Node {
    std::vector<std::pair<char32_t, int32_t>> next;  // by character
    std::vector<int32_t> tokens;                     // that end here
  };
  // Some tokenizers drop a text's first space, so that its first token reads differently.
  const std::vector<Node>& nodes(bool begins) const { return begins ? beginning_ : later_; }
  std::u32string_view text(int32_t id, bool begins) const;

 private:
  static void add(std::vector<Node>& nodes, std::u32string_view text, int32_t id);
  std::vector<Node> beginning_{1}, later_{1};
  std::vector<std::u32string> first_texts_, later_texts_;
};

class TokenMask {
 public:
  TokenMask(std::shared_ptr<const TokenTexts> texts, Grammar grammar, std::vector<int32_t> end_ids);

  // The tokens that may follow what was written, end tokens where it is complete. From any thread.
  std::vector<int32_t> after(std::span<const int32_t> written);

 private:
  struct Known {
    Grammar::State state;
    std::unordered_map<char32_t, int32_t> next;  // character -> state; -1: none
    std::vector<int32_t> tokens;
    bool has_tokens = false;
  };
  int32_t state_of(std::span<const int32_t> written);
  int32_t known(Grammar::State state);
  int32_t step(int32_t state, char32_t character);
  void collect(const std::vector<TokenTexts::Node>& nodes, int32_t node, int32_t state, std::vector<int32_t>& tokens);
  void forget();

  std::shared_ptr<const TokenTexts> texts_;
  Grammar grammar_;
  std::vector<int32_t> end_ids_;
  std::mutex mutex_;
  std::vector<Known> states_;
  std::map<Grammar::State, int32_t> numbers_;
  std::map<std::vector<int32_t>, int32_t> texts_states_;  // of what was written
};

// Sets options.allowed, and takes away what would overrule it. Throws Error where no token ends a text.
void constrain(GenerationOptions& options, Grammar grammar, std::shared_ptr<const TokenTexts> texts);

}  // namespace qkv
