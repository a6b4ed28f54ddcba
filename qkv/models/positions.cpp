#include "qkv/models/positions.h"

#include <vector>

namespace qkv {

Tensor usual_positions(const EmbeddingsSpec& spec, const Tensor& ids, int64_t first) {
  std::vector<int32_t> positions = ids.to_vector<int32_t>();
  const auto length = static_cast<size_t>(ids.size(-1));
  int32_t next = 0;
  for (size_t i = 0; i < positions.size(); ++i) {
    if (i % length == 0) next = spec.skip_padding ? 0 : static_cast<int32_t>(first);
    const bool counted = !spec.skip_padding || positions[i] != static_cast<int32_t>(spec.padding_id);
    positions[i] = counted ? next++ : -1;
  }
  return Tensor::from(ids.shape(), positions);
}

}  // namespace qkv
