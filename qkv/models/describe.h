// A Spec in words and numbers, for people.
#pragma once

#include "qkv/models/family.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

struct ModelDescription {
  int64_t parameters = 0;
  std::vector<std::pair<std::string, int64_t>> parts;  // "embeddings", "attention", "feed-forward", "norms", "heads"
  double cache_numbers_per_token = 0;                  // keys and values of all layers
  std::string drawing;                                 // the model from input to output, one block drawn out
};

// Counts come from the Spec alone: no weights are read or allocated.
ModelDescription describe(const Spec& spec);

// docs/families.md: every family with its paper and its parts, as a table of Markdown.
std::string families_markdown(const std::map<std::string, std::string>& golden_errors = {});

}  // namespace qkv
