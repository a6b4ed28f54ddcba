// The positions of tokens where the input does not say them.
#pragma once

#include "qkv/nn/embeddings.h"

namespace qkv {

// i32, of the shape of `ids` [.., T]: `first`, first + 1, ... in each row; or, for models that do not count padding
// (RoBERTa), 0, 1, ... over the other tokens, and -1 at padding.
Tensor usual_positions(const EmbeddingsSpec& spec, const Tensor& ids, int64_t first = 0);

}  // namespace qkv
