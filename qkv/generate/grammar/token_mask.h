// Which tokens keep a text within a grammar. What cannot be spelled within it is never allowed: it fails closed.
#pragma once

#include "qkv/generate/grammar/grammar.h"
#include "qkv/generate/grammar/partial_character.h"
#include "qkv/generate/grammar/token_texts.h"
#include "qkv/generate/options.h"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace qkv {

class TokenMask {
 public:
  TokenMask(std::shared_ptr<const TokenTexts> texts, Grammar grammar, std::vector<int32_t> end_ids);

  // The tokens that may follow what was written, end tokens where it is complete. From any thread.
  std::vector<int32_t> after(std::span<const int32_t> written);

 private:
  // Characters that lead from a state to the same next one.
  struct Way {
    CharacterRange characters;
    int32_t next = not_known;  // -1: none
  };
  static constexpr int32_t not_known = -2;
  struct Known {
    const Grammar::State* state;
    std::vector<Way> ways = {};                            // in order
    std::map<uint32_t, std::vector<int32_t>> tokens = {};  // that may follow, by the character that has begun
  };
  // Of a text: the grammar's state behind its last whole character, and what has begun of the next.
  struct Place {
    int32_t state = -1;  // -1: none of the grammar's texts begins so
    PartialCharacter begun = {};
  };
  Place place_of(std::span<const int32_t> written);
  int32_t known(Grammar::State state);
  int32_t next(int32_t state, size_t way);
  bool fits(int32_t state, CharacterRange range, int32_t& reached);
  Place step(Place place, uint8_t byte);
  std::vector<int32_t> collect(const TokenTexts::Tree& tree, Place place);
  void forget();

  std::shared_ptr<const TokenTexts> texts_;
  Grammar grammar_;
  std::vector<int32_t> end_ids_;
  std::mutex mutex_;
  std::vector<Known> states_;
  std::map<Grammar::State, int32_t> numbers_;
  std::map<std::vector<int32_t>, Place> texts_places_;  // of what was written
  size_t kept_tokens_ = 0;                              // in all states
};

// Sets options.allowed, and takes away what would overrule it. Throws Error where no token ends a text, and where none
// can begin one of the grammar's.
void constrain(GenerationOptions& options, Grammar grammar, std::shared_ptr<const TokenTexts> texts);

}  // namespace qkv
