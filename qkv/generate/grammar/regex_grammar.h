// A regular expression as a grammar: no backtracking, so no expression takes long.
#pragma once

#include "qkv/generate/grammar/grammar.h"

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace qkv {

// Adds a rule for the texts that the expression matches from the first character to the last. Known are characters,
// escapes (\d \w \s \D \W \S \n \t \r \f \v \xhh \uhhhh), ., classes, groups, |, *, +, ?, {n}, {n,} and {n,m} (also
// lazy: the same texts), and ^ and $ at the ends of the whole or of its alternatives. `characters` makes the rule of a
// class; `around` is what may stand where an alternative does not say ^ or $. Throws Error with the place of what is
// not regular (back-references) or not known (look-around, flags).
Grammar::Rule add_regex(Grammar& grammar, std::string_view pattern,
                        const std::function<Grammar::Rule(std::vector<CharacterRange>)>& characters,
                        const std::optional<Grammar::Rule>& around = {});

// The whole text matches.
Grammar regex_grammar(std::string_view pattern);

}  // namespace qkv
