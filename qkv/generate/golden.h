// Golden generation: greedy and beam-search continuations of the reference library, to be matched token by token.
#pragma once

#include "qkv/io/golden.h"

namespace qkv {

// Every "gen.SETTING" of golden.json. Empty for models that do not generate.
std::vector<GoldenResult> compare_generation(const fs::path& directory);

}  // namespace qkv
