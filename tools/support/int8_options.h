// --int8 and --outlier, for the verbs that load a model for inference.
#pragma once

#include "qkv/models/model.h"

#include <CLI/CLI.hpp>

namespace qkv {

void add_int8_options(CLI::App& command, PackOptions& options);

}  // namespace qkv
