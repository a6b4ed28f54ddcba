// How attention's backward pass is started: dq and dk, dv come from launches of their own.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

struct Gradients {
  AttentionBackward call;
  int64_t first_row, rows;  // of the batch
  const float* delta;       // [batch, heads, queries]: dout . out
  float* dscores;           // [rows, heads, queries, keys], of the scores after the cap; may be null
};

}  // namespace qkv::kernels

namespace qkv::kernels::cuda_set {

// dq, and dscores where they are wanted.
void dq_bf16(const Gradients& g);
void dq_f16(const Gradients& g);
void dq_f32(const Gradients& g);

void dk_dv_bf16(const Gradients& g);
void dk_dv_f16(const Gradients& g);
void dk_dv_f32(const Gradients& g);

}  // namespace qkv::kernels::cuda_set
