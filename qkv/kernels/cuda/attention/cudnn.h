// Attention through NVIDIA's cuDNN, whose kernels use instructions of the newest cards that ours do not. It serves
// training alone, whose shapes stay the same: each costs a plan, which takes the library longer to make than to follow.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels {

// Whether a call is of the kind that is given to cuDNN: with logsumexp, bf16 or f16 in all arrays, head_dim a multiple
// of 8 up to 128, more than one query; causal with as many queries as keys, or all keys for all queries; no mask,
// window, cap, bias or dropout; rows aligned to 16 bytes.
bool suits_cudnn(const Attention& a);
bool suits_cudnn(const AttentionBackward& a);

// Whether QKV_CUDNN=1 is in the environment.
bool cudnn_is_wished();

// Whether the library did it. Not unless it is wished for and takes the call; in that case a notice says why not.
// Gradients have the same bits from run to run.
bool attention_by_cudnn(const Attention& a);
bool attention_backward_by_cudnn(const AttentionBackward& a);

}  // namespace qkv::kernels
