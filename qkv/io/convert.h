// A model directory in another format, element type or shard size.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/weight_files.h"
#include "qkv/tensor/dtype.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

struct ConvertOptions {
  WeightFormat format = WeightFormat::safetensors;
  std::optional<DType> dtype;  // f32, bf16 or f16 for all tensors of floats; none: as they are
  uint64_t max_shard_bytes = uint64_t{5'000'000'000};
  bool overwrite = false;
  std::function<void(uint64_t done, uint64_t total)> progress;  // bytes; may throw to stop
};

struct ConvertReport {
  uint64_t tensors = 0;
  uint64_t bytes = 0;
  std::vector<std::string> copied;  // tokenizer files, configurations and the like
};

// Reads a directory in any format that Checkpoint opens and writes `destination`: the weights, config.json with the new
// dtype, and the tokenizer's and other small files as they are. One tensor is in memory at a time. A new directory
// appears whole or not at all; over an existing one, with `overwrite`, each file is replaced at once and the weights as
// write_checkpoint does. Throws Error when the destination exists and may not be overwritten, and when a finite number
// does not fit f16.
ConvertReport convert_checkpoint(const fs::path& source, const fs::path& destination, const ConvertOptions& options);

// Copies what goes along with a model, other than config.json and weights: tokenizers, templates, the card and licence.
// The names of the files, sorted.
std::vector<std::string> copy_companions(const fs::path& source, const fs::path& destination);

}  // namespace qkv
