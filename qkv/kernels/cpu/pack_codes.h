// The codes and scales of a block format's blocks, 32 columns at a time, as words of four codes: word j holds the codes
// of columns 4j to 4j+3 in its bytes. Layouts of the blocks: qkv/kernels/blocks.h.
#pragma once

#include "qkv/tensor/dtype.h"

#include <cstdint>

namespace qkv::kernels::cpu_set {

struct BlockCodes {
  uint32_t words[8] = {};
  int8_t scales[2] = {};  // of types with integer scales in a super-block
  uint8_t minima[2] = {};
  uint16_t d = 0;        // f16: the super-block's scale
  uint16_t minimum = 0;  // f16: what a minimum is multiplied by, or the minimum; negated where the type adds it
};

// Of the `part`-th 32 columns of the block (or super-block) at `block`.
BlockCodes codes_of_block(DType type, const uint8_t* block, int64_t part);

}  // namespace qkv::kernels::cpu_set
