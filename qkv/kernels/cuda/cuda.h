// The entries of the set `cuda`, one file a kernel. Pointers are to the device's memory, work goes to its stream, and
// none waits for it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cuda_set {

void gemm(const Gemm&);
int64_t packed_bytes(DType type, int64_t n, int64_t k, bool plain);
bool pack(const Pack&);
void packed_gemm(const PackedGemm&);
void sum_rows(const SumRows&);
void gather(const Gather&);
void scatter_add(const ScatterAdd&);
void norm(const Norm&);
void norm_backward(const NormBackward&);
void activate(const Activate&);
void activate_backward(const ActivateBackward&);
void gated(const Gated&);
void gated_backward(const GatedBackward&);
void attention(const Attention&);
void attention_each(std::span<const Attention>);
void attention_backward(const AttentionBackward&);
void attention_pattern(const AttentionPattern&);
void relative_bias(const RelativeBias&);
void relative_bias_backward(const RelativeBiasBackward&);
void rotary(const Rotary&);
void causal_conv(const CausalConv&);
void causal_conv_backward(const CausalConvBackward&);
void selective_scan(const SelectiveScan&);
void selective_scan_backward(const SelectiveScanBackward&);
void moving_average(const MovingAverage&);
void moving_average_backward(const MovingAverageBackward&);
void cross_entropy(const CrossEntropy&);
void softmax(const Softmax&);
void softmax_backward(const SoftmaxBackward&);
void binary(const Binary&);
void scale(const Scale&);
void dropout(const Dropout&);
void copy(const Copy&);
void write_pages(const WritePages&);
void fill(void* y, DType type, int64_t count, float value);
void l2_norm(std::span<const L2NormPart> parts, float* norm);
void adamw(std::span<const OptimizerTensor> tensors, const AdamW&);
void lion(std::span<const OptimizerTensor> tensors, const Lion&);
void sgd(std::span<const OptimizerTensor> tensors, const Sgd&);

// What a kernel cannot do: throws Error.
[[noreturn]] void refuse(const char* op, const char* what);

}  // namespace qkv::kernels::cuda_set
