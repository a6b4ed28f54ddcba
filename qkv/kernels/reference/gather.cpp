#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include "qkv/kernels/blocks.h"

#include <vector>

namespace qkv::kernels::reference_set {

void gather(const Gather& a) {
  std::vector<float> row(static_cast<size_t>(a.width));
  for (int64_t i = 0; i < a.rows; ++i) {
    dequantize_row(a.table_type, static_cast<const char*>(a.table) + bytes_of(a.table_type, a.ids[i] * a.width),
                   row.data(), a.width);
    for (int64_t j = 0; j < a.width; ++j) {
      const int64_t place = i * a.width + j;
      const double value = row[static_cast<size_t>(j)];
      store(a.out, a.out_type, place, a.accumulate ? value + load(a.out, a.out_type, place) : value);
    }
  }
}

void scatter_add(const ScatterAdd& a) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.width; ++j)
      if (a.ids[i] != a.padding)
        a.out[a.ids[i] * a.width + j] += static_cast<float>(load(a.x, a.type, i * a.width + j));
}

}  // namespace qkv::kernels::reference_set
