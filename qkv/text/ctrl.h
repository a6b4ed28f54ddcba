// CTRL's vocabulary (Keskar et al., arXiv 1909.05858): byte-pair encoding in the form of fastBPE, where "@@" ends every
// token that does not end a word.
#pragma once

#include "qkv/core/files.h"
#include "qkv/text/pipeline.h"

namespace qkv {

// From vocab.json and merges.txt, whose lines are two symbols and, as fastBPE writes them, how often they were joined.
// What joins to no token of the vocabulary is unknown.
Tokenizer::Pipeline::Parts ctrl_parts(const fs::path& vocab, const fs::path& merges, Json config);

// Whether the vocabulary is in this form.
bool has_ctrl_form(const Json& vocab);

}  // namespace qkv
