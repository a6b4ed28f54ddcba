// English text into words as the Moses tokenizer cuts it (Koehn et al. 2007), which Transformer-XL's vocabulary is of.
#pragma once

#include "qkv/core/json.h"

namespace qkv {

// The steps as normalizers of a tokenizer.json, after which spaces separate the words: quotes and dashes as ASCII,
// punctuation apart, "foo-bar" as "foo @-@ bar", "5,300.5" as "5 @,@ 300 @.@ 5", a period apart unless it ends an
// abbreviation. Differs from Moses where its list of abbreviations knows more.
Json moses_normalizers();

}  // namespace qkv
