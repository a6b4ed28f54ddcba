// Ctrl-C: the first asks long work to save and stop, the second ends the program at once.
#pragma once

#include <atomic>

namespace qkv {

// Becomes true at SIGINT or SIGTERM, from the first call of this on.
const std::atomic<bool>& stop_requested();

}  // namespace qkv
