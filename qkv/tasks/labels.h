// The names of a classifier's classes.
#pragma once

#include "qkv/models/config.h"

#include <string>
#include <vector>

namespace qkv {

// The values of config.json's "id2label" in the order of their ids; LABEL_0, LABEL_1, ... without it. Throws Error when
// an id of 0 .. count - 1 has no name.
std::vector<std::string> label_names(const Config& config, int64_t count);

}  // namespace qkv
