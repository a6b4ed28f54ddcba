// The entries of the set `cuda`, one file a kernel. Pointers are to the device's memory, work goes to its stream, and
// nothing waits for it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cuda_set {

void softmax(const Softmax&);
void softmax_backward(const SoftmaxBackward&);

}  // namespace qkv::kernels::cuda_set
