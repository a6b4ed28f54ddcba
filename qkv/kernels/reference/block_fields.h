// What a block says, one number a place: the formats differ only in how these are packed.
#pragma once

#include "qkv/kernels/blocks.h"

#include <cstdint>

namespace qkv::kernels {

// value[i] = (d scale[g]) code[i] - (m low[g]), g = i / group
struct BlockFields {
  float d = 0, m = 0;  // exactly halves
  int8_t scale[16] = {};
  int8_t low[16] = {};
  int8_t code[256] = {};
};

// The choices a format leaves: which integers codes and scales may be.
struct BlockFormat {
  DType type;
  int group;                    // numbers that share a scale
  int code_least, code_most;    // for iq4_nl the ends of its table
  int scale_least, scale_most;  // 1 and 1: the group's scale is d itself
  bool lows;                    // whether there is m
  void (*unpack)(const void* block, BlockFields& fields);
  void (*pack)(const BlockFields& fields, void* block);
};

const BlockFormat& block_format(DType type);  // of a block type

}  // namespace qkv::kernels
