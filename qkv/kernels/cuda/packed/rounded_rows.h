// The rows of a product's A as integers of at most 127 times scales.
#pragma once

#include "qkv/kernels/cuda/scratch.h"
#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

// As kernels see them: of group g of row i, 32 integers at codes[(i groups + g) 32], their scale at [i groups + g], and
// the sums of its halves at [2 (i groups + g)]. Groups of one of the weight's blocks have the same scale. Columns
// `apart` of A stand beside them, as they are: their integers are 0.
struct Rounded {
  int64_t groups = 0;
  int8_t* codes = nullptr;
  float* scales = nullptr;
  int32_t* sums = nullptr;
  int32_t* apart = nullptr;  // columns, in order; only where the weight has outliers
  int32_t* apart_count = nullptr;
};

// Rounds A for the weight's type, in memory of its own.
class RoundedRows {
 public:
  explicit RoundedRows(const PackedGemm& g);
  const Rounded& view() const { return view_; }

 private:
  Scratch<int8_t> codes_;
  Scratch<float> scales_;
  Scratch<int32_t> sums_, apart_;
  Rounded view_;
};

}  // namespace qkv::kernels
