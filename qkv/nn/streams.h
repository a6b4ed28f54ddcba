// What XLNet's passes have besides tokens (Yang et al. 2019, arXiv 1906.08237): an order of prediction and a stream of
// queries. A query knows its position but not its token: it is a row behind the tokens' that only asks and is never
// asked.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

struct RelativeInputs;  // nn/relative.h

struct Streams {
  Tensor hidden;    // u8 [B, T, T]: 1 hides token s from position t; tokens see themselves; undefined = none hidden
  Tensor targets;   // i32 [B, M]: positions of the queries, T for the token that comes next; undefined = no queries
  Tensor segments;  // i32 [B, T]; undefined = segments do not enter

  bool padding_sees_itself = false;  // the padding mask is part of the order: padding is hidden but from itself

  int64_t queries() const { return targets ? targets.size(1) : 0; }
};

// The places of T tokens and M queries before S keys, the last T of which are the tokens: those of `relative`, which
// has a row for each distance up to S, with negative ones for keys that are hidden by `streams` or `key_mask` (u8 [B,
// S]). Where nothing is hidden by `streams`, the mask is left to attention. Segments likewise; older keys are of
// segment 0.
RelativeInputs with_streams(const RelativeInputs& relative, const Streams& streams, const Tensor& key_mask, int64_t T);

}  // namespace qkv
