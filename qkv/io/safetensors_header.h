// Reads a safetensors header as it streams by: no JSON document is built, so that a hostile header costs no more
// than its own length.
#pragma once

#include "qkv/io/safetensors.h"

#include <functional>
#include <string_view>

namespace qkv {

// Calls `tensor` for each entry in the header's order, `metadata` for each pair of "__metadata__". Checks syntax,
// types, dtypes and ranges of the numbers; repeated keys within one entry. Throws Error naming `where`.
void read_safetensors_header(std::string_view text, const std::string& where,
                             const std::function<void(Safetensors::Entry&&)>& tensor,
                             const std::function<void(const std::string& key, std::string&& value)>& metadata);

}  // namespace qkv
