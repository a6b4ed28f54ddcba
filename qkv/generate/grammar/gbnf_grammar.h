// A grammar written in GBNF, llama.cpp's form of Backus-Naur rules (github.com/ggml-org/llama.cpp, grammars/README.md):
//
//   root   ::= "{" pair ("," pair)* "}"    # the whole text is `root`
//   pair   ::= [a-z]+ ":" number
//   number ::= "-"? [0-9]{1,8}
#pragma once

#include "qkv/generate/grammar/grammar.h"

#include <string_view>

namespace qkv {

// Rules of names (letters, digits, - and _), texts in double quotes, sets in brackets ([^...] for the others), "." for
// any character, groups, | and the repetitions ?, *, +, {m}, {m,}, {m,n}; escapes \n \t \r \\ \" \[ \] \xhh \uhhhh
// \Uhhhhhhhh; comments behind #. A rule goes on over lines inside parentheses and behind ::= and |.
// Throws Error with the line for what is none of this: rules that are not there, said twice or begin with themselves
// (a text is read once, from its beginning), tokens in angle brackets (a grammar is over characters), more than 64 KiB,
// groups deeper than 64, more than 2,000 repetitions.
Grammar gbnf_grammar(std::string_view text);

}  // namespace qkv
