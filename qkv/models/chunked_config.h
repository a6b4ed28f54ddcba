// How a config.json states attention in chunks (nn/chunked_attention.h) and axial positions.
#pragma once

#include "qkv/models/config.h"
#include "qkv/nn/embeddings.h"
#include "qkv/nn/stack.h"

namespace qkv {

// Layers, and the attention of each, by "attn_layers" ("local", "lsh"), "lsh_attn_chunk_length", "num_buckets", ...
// Buckets that are not given are about two for each chunk of the longest text, in two factors where they are many.
void set_chunked_attention(const Config& config, StackSpec& stack);

// "axial_pos_shape" and "axial_pos_embds_dim", unless "axial_pos_embds" is false.
void set_axial_positions(const Config& config, EmbeddingsSpec& embeddings, int64_t width);

}  // namespace qkv
