// What must and must not be written, said in words instead of ids.
//
//   qkv::GenerationOptions options{.end_ids = {*tokenizer.special().eos}};
//   qkv::apply_constraints({.only = {"positive", "negative"}}, tokenizer, options);
#pragma once

#include "qkv/generate/options.h"
#include "qkv/text/tokenizer.h"

namespace qkv {

struct Constraints {
  // Never written: the tokens that such a text has at the beginning of a line, and behind a space. The same letters cut
  // into other tokens are not known.
  std::vector<std::string> bad_words;
  // Tokens as the vocabulary spells them, or their ids in digits: the first new one, and the one where the length ends.
  std::string forced_first, forced_last;
  // One of these texts is written, and then an end token. Empty: anything.
  std::vector<std::string> only;
  // What the whole text must be, as rules in GBNF (grammar/gbnf_grammar.h). Empty: anything.
  std::string grammar;
};

// Sets the options that say so: bad words are added to those there are. `tokenizer` is that of what is written. Throws
// Error, named for the command's options, for an unknown token, an empty text, `only` or a grammar without end ids, and
// a grammar beside what could contradict it.
void apply_constraints(const Constraints& constraints, const Tokenizer& tokenizer, GenerationOptions& options);

}  // namespace qkv
