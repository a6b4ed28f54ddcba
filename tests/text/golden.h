// Where what the Hugging Face library makes of texts lies.
#pragma once

#include "qkv/core/files.h"

namespace qkv {

inline const fs::path golden = fs::path(QKV_SOURCE_DIR) / "tests/golden/tokenizers";

}  // namespace qkv
