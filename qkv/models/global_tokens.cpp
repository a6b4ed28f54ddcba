#include "qkv/models/global_tokens.h"

#include <algorithm>

namespace qkv {

Tensor usual_global_tokens(const Spec& spec, const Tensor& ids) {
  if (spec.global_tokens == Spec::GlobalTokens::none) return {};
  std::vector<uint8_t> global;
  const std::vector<int32_t> all = ids.to_vector<int32_t>();
  const size_t T = static_cast<size_t>(ids.size(-1));
  for (size_t row = 0; row < all.size(); row += T) {
    const auto begin = all.begin() + static_cast<ptrdiff_t>(row);
    const auto end = begin + static_cast<ptrdiff_t>(T);
    const auto separator = std::find(begin, end, static_cast<int32_t>(spec.separator_id));
    const bool first = spec.global_tokens == Spec::GlobalTokens::first;
    // Without a separator there is neither question nor choice.
    const ptrdiff_t place = first ? 1 : separator == end ? 0 : separator - begin;
    const bool behind = spec.global_tokens == Spec::GlobalTokens::behind_separators && separator != end;
    for (size_t t = 0; t < T; ++t) {
      const auto at = static_cast<ptrdiff_t>(t);
      global.push_back((behind ? at > place + 1 : at < place) ? 1 : 0);
    }
  }
  return Tensor::from(ids.shape(), global);
}

}  // namespace qkv
