// Models from and to GGUF files.
#pragma once

#include "qkv/io/hugging_face.h"
#include "qkv/io/gguf.h"
#include "qkv/io/gguf_mixes.h"

namespace qkv {

// As load_model() does of a directory. With in_place, matrices that lie in blocks stay so, on the file's pages: they
// are multiplied without ever being taken out of them. Without, matrices become `matrices`, all else f32, and
// all lie as our families have them.
LoadedModel load_gguf_model(const fs::path& path, const LoadOptions& options = {});

// For what would make 8-bit integers of weights: throws Error where the file's are in blocks already.
void refuse_blocks(const Gguf& file);

struct SaveGguf {
  // The type of a matrix by its name in the file; f32, f16, bf16 or a block type. Norms, biases and tables of positions
  // are f32. A row that is no whole number of blocks: Error.
  std::function<DType(const std::string& name, const Shape& shape)> type;
  // What every input of a matrix is worth (the mean of its squares), for the search for scales; may be empty, and may
  // give an undefined tensor. f32 [K].
  std::function<Tensor(const std::string& name)> importance;
  GgufMetadata metadata;  // the tokenizer's, and what else is to stand there
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// Writes a model with the metadata that describes it. Throws Error where GGUF, or llama.cpp, has no words for it.
void save_gguf_model(const fs::path& path, Model& model, const SaveGguf& how);

// What the tensors of such a file take in this mix of types, from the Spec alone. Throws likewise.
uint64_t gguf_bytes(const Spec& spec, const GgufMix& mix);

}  // namespace qkv
