// Where a user's data are kept between runs.
#pragma once

#include "qkv/core/files.h"

namespace qkv {

// $XDG_DATA_HOME/qkv, or ~/.local/share/qkv (XDG Base Directory Specification). Empty where the environment names
// neither as an absolute path. The directory need not exist.
fs::path user_data_directory();

}  // namespace qkv
