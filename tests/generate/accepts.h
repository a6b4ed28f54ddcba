// Whether a grammar has a text.
#pragma once

#include "qkv/generate/grammar/grammar.h"
#include "qkv/text/unicode.h"

#include <string>

namespace qkv {

inline bool accepts(const Grammar& grammar, const std::string& text) {
  Grammar::State state = grammar.begin();
  for (const char* p = text.data(); p < text.data() + text.size() && !state.empty();)
    state = grammar.after(state, next_code_point(p));
  return Grammar::complete(state);
}

}  // namespace qkv
