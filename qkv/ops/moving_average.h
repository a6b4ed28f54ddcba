// Exponential moving averages along time.
#pragma once

#include "qkv/tensor/tensor.h"

namespace qkv {

// A damped moving average of each channel d in N dimensions (Ma et al. 2022, arXiv 2209.10655), h starting at zero:
//   h[t,d,n] = decay[d,n] h[t-1,d,n] + in[d,n] x[t,d],   y[t,d] = sum_n out[d,n] h[t,d,n]
// x [B,T,D]; decay, in, out f32 [D,N] -> [B,T,D]. With 2 D rows it is both ways: the second half's average runs from
// the last position to the first, and the two are added. Costs T D N, not a convolution. Where `state`, f32 [B,N,D], is
// given, h starts from it and it receives the last h; then it is one way, and nothing is recorded for gradients.
Tensor moving_average(const Tensor& x, const Tensor& decay, const Tensor& in, const Tensor& out,
                      const Tensor& state = {});

}  // namespace qkv
