// Post-processors: the last step, which puts [CLS], [SEP] and the like around the tokens.
#pragma once

#include "qkv/text/json_cursor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qkv {

struct PostProcessor {
  // One part of the result.
  struct Part {
    enum Kind : uint8_t { sequence_a, sequence_b, special } kind;
    std::vector<int32_t> ids;  // of a special part
    int32_t type_id;
  };
  std::vector<Part> single{{Part::sequence_a, {}, 0}};
  std::vector<Part> pair{{Part::sequence_a, {}, 0}, {Part::sequence_b, {}, 1}};

  // Whether offsets leave out the spaces that byte-level tokens begin or end with, except a space that was put before
  // the text.
  bool trim_offsets = false;
  bool add_prefix_space = false;

  // Whether single and pair came from the file: a second template is an error.
  bool has_template = false;

  // From the "post_processor" of a tokenizer.json. Throws Error for a type that is not supported.
  static PostProcessor parse(const JsonCursor& json);
};

}  // namespace qkv
