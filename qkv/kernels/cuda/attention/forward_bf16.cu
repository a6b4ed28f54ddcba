#include "qkv/kernels/cuda/attention/forward.h"

namespace qkv::kernels::cuda_set {
namespace {

// Larger tiles read less of shared memory, which else is what tensor cores wait for; smaller ones keep more of a card
// busy where there is little to do.
template <int width>
void start(const Calls& calls) {
  constexpr int64_t enough_blocks = 132;
  using Large = TensorCoreTiles<width, 2, 32>;
  using Small = TensorCoreTiles<width, 1, 64>;
  const bool fills = query_tiles<Small>(calls) > 1 && blocks_of<Large>(calls) >= enough_blocks;
  fills ? start_attention<Large>(calls) : start_attention<Small>(calls);
}

}  // namespace

void attention_bf16(const Calls& calls) {
  const int64_t head_dim = calls.at[0].head_dim;
  if (head_dim <= 64) return start<64>(calls);
  if (head_dim <= 96) return start<96>(calls);
  if (head_dim <= 128) return start<128>(calls);
  start_attention<TensorCoreTiles<256, 1, 32>>(calls);
}

}  // namespace qkv::kernels::cuda_set
