// What the files of the packed product share.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {

// Rows of x as integers, x = scale q. A row has one scale for i8 weights, else each of the weight's blocks: 32 columns,
// or 256 where it has super-blocks.
struct QuantisedRows {
  int64_t rows = 0;
  const int8_t* values = nullptr;   // [rows, k]
  const float* scales = nullptr;    // [blocks, rows], as rows are multiplied together
  const int32_t* starts = nullptr;  // as scales: -offset sum(q), what the sum over unsigned codes has too much
  const float* sums = nullptr;      // as scales: scale sum(q), which multiplies the weight's minimum
  // [parts / 2, rows, 2]: sum(q) of the columns that share a scale of a super-block
  const int16_t* part_sums = nullptr;
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
