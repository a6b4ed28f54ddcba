// From classes of tokens to entities: what stands between a Tagger's model and its results. As transformers'
// token-classification pipeline does it.
#pragma once

#include "qkv/tasks/tag.h"

namespace qkv {

// A token, or a word put together from some, with the probability of each class.
struct ScoredToken {
  std::string word;
  std::vector<double> scores;
  int32_t begin = 0;
  int32_t end = 0;
  int32_t index = -1;
  bool continues = false;  // the word of the token before it
};

// The tokens [begin, end) of an encoding; `scores` has those of each. Where the tokenizer marks continuations (##), a
// token that is not as long as its text continues a word; elsewhere one that no space precedes.
std::vector<ScoredToken> scored_tokens(const Tokenizer& tokenizer, std::string_view text, const Encoding& encoding,
                                       int64_t begin, int64_t end, std::vector<std::vector<double>> scores,
                                       int32_t first_index);

// All entities, ignored labels included.
std::vector<Entity> entities_of(const Tokenizer& tokenizer, const std::vector<ScoredToken>& tokens,
                                const std::vector<std::string>& names, Aggregation aggregation);

// Of entities that overlap, found in several windows, the longest stays, or the surest of equally long ones.
std::vector<Entity> without_overlaps(std::vector<Entity> entities);

}  // namespace qkv
