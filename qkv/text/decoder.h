// Decoders: from tokens back to text.
#pragma once

#include "qkv/text/json_cursor.h"

#include <memory>
#include <string>
#include <vector>

namespace qkv {

class Decoder {
 public:
  virtual ~Decoder() = default;

  // The pieces of text that the tokens become; their concatenation is the result.
  virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;

  // From the "decoder" of a tokenizer.json; nullptr for null. Throws Error for a type that is not supported.
  static std::unique_ptr<Decoder> parse(const JsonCursor& json);
};

}  // namespace qkv
