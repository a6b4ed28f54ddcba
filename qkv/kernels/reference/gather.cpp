#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

namespace qkv::kernels::reference_set {

void gather(const Gather& a) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.width; ++j) {
      const int64_t place = i * a.width + j;
      const double value = load(a.table, a.table_type, a.ids[i] * a.width + j);
      store(a.out, a.out_type, place, a.accumulate ? value + load(a.out, a.out_type, place) : value);
    }
}

void scatter_add(const ScatterAdd& a) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = 0; j < a.width; ++j)
      if (a.ids[i] >= 0) a.out[a.ids[i] * a.width + j] += static_cast<float>(load(a.x, a.type, i * a.width + j));
}

}  // namespace qkv::kernels::reference_set
