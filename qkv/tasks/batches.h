// Which rows go through the model together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

// The indices of `lengths`, each once, longest first, cut into batches: rows times the longest of a batch are at most
// `batch_tokens` (or the batch is one row), and where a batch is large enough to keep the machine busy, at most a tenth
// of it is padding.
std::vector<std::vector<size_t>> batches_by_length(std::span<const int64_t> lengths, int64_t batch_tokens);

}  // namespace qkv
