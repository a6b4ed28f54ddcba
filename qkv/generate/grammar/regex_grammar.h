// A regular expression as a grammar: no backtracking, so no expression takes long.
#pragma once

#include "qkv/generate/grammar/grammar.h"

#include <functional>
#include <string_view>
#include <vector>

namespace qkv {

// Adds a rule for the texts that the expression matches from the first character to the last. Known are characters,
// escapes (\d \w \s \D \W \S \n \t \r \f \v \xhh \uhhhh), ., classes, groups, |, *, +, ?, {n}, {n,} and {n,m} (also
// lazy: the same texts), and ^ and $ at the ends. `characters` makes the rule of a class. Throws Error with the place
// of what is not regular (look-around, back-references) or not known.
Grammar::Rule add_regex(Grammar& grammar, std::string_view pattern,
                        const std::function<Grammar::Rule(std::vector<CharacterRange>)>& characters);

// The whole text matches.
Grammar regex_grammar(std::string_view pattern);

}  // namespace qkv
