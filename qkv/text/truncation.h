// Making encodings as long as a model wants them: cut, and filled up with padding. As the Hugging Face library does it,
// also for what a tokenizer.json says under "truncation" and "padding".
#pragma once

#include "qkv/text/json_cursor.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace qkv {

struct Encoding;

struct Truncation {
  enum class Strategy : uint8_t {
    longest_first,  // of two texts the longer is cut, down to the other's length, then both alike
    only_first,
    only_second,
  };
  int64_t max_length = 512;  // tokens, the special ones counted
  int64_t stride = 0;        // tokens that a part which was cut off repeats of the one before it
  Strategy strategy = Strategy::longest_first;
  bool left = false;  // cuts off the beginning instead of the end

  // From "truncation" of a tokenizer.json; none for null.
  static std::optional<Truncation> parse(const JsonCursor& json);
};

struct Padding {
  std::optional<int64_t> length = {};  // none: the longest of the batch
  int64_t multiple_of = 0;             // and up to a multiple of so many
  bool left = false;                   // before the text instead of behind it
  int32_t id = 0;
  int32_t type_id = 0;
  std::string token = "[PAD]";

  static std::optional<Padding> parse(const JsonCursor& json);
};

// Cuts the tokens of one text or of two (`second` may be null) to at most `max_length` together, special tokens not
// counted. What is cut off goes to `overflowing`, in parts of the same length. Throws Error when the text that the
// strategy names is not there or too short, and when the stride is as long as what is left.
void truncate(Encoding& first, Encoding* second, const Truncation& how, int64_t max_length);

// Makes the encodings of a batch, and their overflowing parts, equally long; padding has attention_mask 0.
void pad(std::span<Encoding> batch, const Padding& how);

}  // namespace qkv
