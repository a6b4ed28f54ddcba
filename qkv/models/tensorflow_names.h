// The names that variables have in the original TensorFlow releases, and those of our checkpoints.
#pragma once

#include "qkv/models/family.h"

#include <optional>
#include <string>
#include <string_view>

namespace qkv {

struct TensorflowName {
  std::string name;         // "bert.encoder.layer.0.output.dense.weight"
  bool transposed = false;  // a kernel lies [in, out]
};

// "bert/encoder/layer_0/output/dense/kernel" under the name that the family's rules use. None for what only an
// optimizer needs: moments, step counts.
std::optional<TensorflowName> name_from_tensorflow(std::string_view variable, const TensorflowLayout& layout);

// `text` with every occurrence of `pattern` replaced. `*` in the pattern matches a number, and the first `*` of
// `replacement` stands for what the first one matched, and so on.
std::string replace_numbered(std::string_view text, std::string_view pattern, std::string_view replacement);

}  // namespace qkv
