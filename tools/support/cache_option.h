// The option of verbs that write text: what keys and values are kept as.
#pragma once

#include "tools/commands.h"

namespace qkv {

// --cache f32|bf16|q8_0; see generate/cache_type.h.
CLI::Option* add_cache_option(CLI::App& command, std::string& type);

}  // namespace qkv
