// What the files of the packed product share.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {

// Rows of x as integers, x = scale q. For i8 weights a row has one scale, else each block of 32 columns has one. A part
// is a row for i8, else the columns that share a scale of the weight: 32 or 16.
struct QuantisedRows {
  const int8_t* values = nullptr;   // [rows, k]
  const float* scales = nullptr;    // [rows, blocks], or [rows]
  const int32_t* starts = nullptr;  // [rows, parts]: -offset sum(q), what the sum over unsigned codes has too much
  const float* sums = nullptr;      // [rows, parts]: scale sum(q), which multiplies the weight's minimum
};

// Columns of A that an i8 weight wants apart, by rising number; and what they add to C: C += A[:, columns] W[:,
// columns]^T.
std::vector<int64_t> outlier_columns(const PackedGemm& g);
void add_outliers(const PackedGemm& g, const std::vector<int64_t>& columns);

// `rows` rows of blocks from `row` on as one group, all of whose bytes are written.
void pack_group(const Pack& a, int64_t row, int64_t rows, uint8_t* group);

bool vnni_supported();
void packed_product_vnni(const PackedGemm& g, const QuantisedRows& x);

}  // namespace qkv::kernels::cpu_set
