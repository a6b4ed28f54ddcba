// The corruption of masked language modelling (Devlin et al., "BERT", 2019, section 3.1).
#pragma once

#include "qkv/core/random.h"

#include <cstdint>
#include <span>
#include <vector>

namespace qkv {

struct Masking {
  double chosen = 0.15;  // of the tokens that are not special: rounded, at least one
  double masked = 0.8;   // of the chosen: become mask_id
  double random = 0.1;   // of the chosen: become any token; the rest stay as they are
  int32_t mask_id = 0;
  int64_t vocabulary = 0;
  std::vector<uint8_t> special;    // [vocabulary]: 1 = never chosen
  std::vector<uint8_t> continues;  // [vocabulary]: 1 = goes on the word before it ("##ing"). Words are then chosen and
                                   // masked whole; empty: single tokens
};

// Corrupts one row in place. labels[t] becomes the original token where t was chosen, else -100. Returns how many were
// chosen: 0 only for a row of special tokens. The same key corrupts the same way.
int64_t corrupt(std::span<int32_t> ids, std::span<int32_t> labels, const Masking& masking, RandomKey key);

}  // namespace qkv
