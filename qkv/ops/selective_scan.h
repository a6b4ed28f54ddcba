// The recurrence of a selective state space.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// Gu & Dao 2023, arXiv 2312.00752: with A = -exp(log_a) and, for each channel d, N states h that start at zero,
//   h[t,d,n] = exp(delta[t,d] A[d,n]) h[t-1,d,n] + delta[t,d] b[t,n] x[t,d],   y[t,d] = c[t,:] . h[t,d,:] + skip[d]
//   x[t,d]
// x and delta [B,T,D] (delta > 0), b and c [B,T,N], all of one dtype; log_a f32 [D,N], skip f32 [D]. -> y [B,T,D].
// Where `state`, f32 [B,N,D], is given, h starts from it and it receives the last h; then nothing is recorded for
// gradients.
Tensor selective_scan(const Tensor& x, const Tensor& delta, const Tensor& b, const Tensor& c, const Tensor& log_a,
                      const Tensor& skip, const Tensor& state = {});

}  // namespace qkv
