// Memory of earlier segments (Dai et al. 2019, arXiv 1901.02860): what each layer read then, it reads again beside what
// it reads now, without gradients.
#pragma once

#include "qkv/tensor/tensor.h"

#include <vector>

namespace qkv {

struct PastSpec {
  int64_t length = 0;     // positions that are remembered; 0 = all
  bool zeros = false;     // zeros stand before the first segment (Transformer-XL)
  int64_t recalled = -1;  // while generating, how many positions before the new ones are seen; -1 = all
  bool rereads = false;   // while generating, the last token is read again beside the next one (XLNet)
};

// The states that each layer read, [B, M, D]; empty before the first segment. A pass of the stack renews them.
struct Past {
  std::vector<Tensor> states;
};

}  // namespace qkv
