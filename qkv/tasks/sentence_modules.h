// The files that sentence-transformers puts beside a model: how its hidden states become one vector.
#pragma once

#include "qkv/core/files.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace qkv {

enum class Pooling : uint8_t {
  mean,  // over the text's tokens, special ones included
  cls,   // the first token
  last,  // the last token
  max,   // of each number
};
Pooling pooling_named(std::string_view name);  // throws Error

struct SentenceModules {
  fs::path model;  // where config.json and the weights are
  Pooling pooling = Pooling::mean;
  bool normalise = false;  // to length 1
  int64_t max_length = 0;  // tokens; 0 = not said
  std::string prompt;      // put before each text

  // Reads modules.json, the pooling module's config.json, sentence_bert_config.json and
  // config_sentence_transformers.json, each if it is there. Throws Error for a module or a pooling that is not
  // supported.
  static SentenceModules read(const fs::path& directory);
};

}  // namespace qkv
