// How much memory a model will take, before it is loaded.
#pragma once

#include "qkv/core/files.h"
#include "qkv/generate/scheduler.h"

#include <cstdint>

namespace qkv {

// Of the weights, whether they lie in memory or on the file's pages. `half`: as bf16.
uint64_t weight_bytes(const fs::path& model, bool half);

// Of an engine's keys and values when all its sequences are full.
uint64_t cache_bytes(const Spec& spec, const EngineOptions& options);

// "1.2 GB"
std::string gigabytes(uint64_t bytes);

}  // namespace qkv
