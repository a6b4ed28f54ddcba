// sum exp x in one pass, relative to the largest x so far (Milakov & Gimelshein 2018, arXiv 1805.02867).
#pragma once

#include "qkv/kernels/cuda/reduce.h"

#include <cfloat>

namespace qkv::kernels {

struct SumExp {
  float most = -FLT_MAX;  // not infinite: exp(-inf - most) is 0
  float sum = 0;          // of exp(x - most)

  __device__ void add(float x) {
    if (x > most) {
      sum *= expf(most - x);
      most = x;
    }
    sum += expf(x - most);
  }
};

template <int team>
__device__ inline SumExp reduce(const SumExp& own) {
  SumExp all;
  all.most = reduce<team>(own.most, Largest());
  all.sum = reduce<team>(own.sum * expf(own.most - all.most), Add());
  return all;
}

}  // namespace qkv::kernels
