// What configurations on disk since 2018 spell otherwise than today.
#pragma once

#include "qkv/core/json.h"

#include <string>

namespace qkv {

// The same configuration with today's keys: sizes under the names that GPT and BERT had first, counts of labels, types
// of models that were renamed, a "model_type" guessed from the class in "architectures" where it is missing
// (configurations before November 2019 have none). Throws Error naming `where` for what changes the architecture and is
// not supported: pruned heads.
Json with_todays_keys(Json json, const std::string& where);

}  // namespace qkv
