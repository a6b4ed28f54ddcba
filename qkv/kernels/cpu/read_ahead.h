// Asking for memory before it is needed, where a weight streams by once.
#pragma once

#include <cstdint>

namespace qkv::kernels::cpu_set {

// So far before it is used: a few times the way to memory and back. Much further than that is slower: the processor
// reads ahead too, as long as it finds lines missing, and has more of them on their way than can be asked for.
constexpr int64_t read_ahead = 6 * 1024;

// With next to no work between lines the processor keeps up by itself, if it is not led too far.
constexpr int64_t read_ahead_of_stream = 3 * 1024;

// Brings a line of 64 bytes to the second-level cache. Not to the first: it keeps count of fewer lines on their way,
// too few for the memory's speed. The address need not be valid. Inlined early, or GCC sees a function without effect
// and drops its calls.
[[gnu::always_inline]] inline void ask_for(const void* line) { __builtin_prefetch(line, 0, 2); }

}  // namespace qkv::kernels::cpu_set
