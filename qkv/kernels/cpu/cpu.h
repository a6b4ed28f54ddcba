// The fast kernels for processors. Every function is the table's entry of the same name; kernels.h defines it.
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {

// These with an operand in blocks: split between threads.
void gemm_of_blocks(const Gemm& a);
void gather_of_blocks(const Gather& a);
void gather_of_packed(const Gather& a);
void copy_of_blocks(const Copy& a);
// A copy of rows, f32 or bf16 and dense, that become the other of these, or q8_0 blocks.
void convert_rows(const Copy& a);
void gemm(const Gemm& a);
int64_t packed_bytes(DType type, int64_t n, int64_t k, bool plain);
bool pack(const Pack& a);
void packed_gemm(const PackedGemm& a);
void sum_rows(const SumRows& a);
void gather(const Gather& a);
void scatter_add(const ScatterAdd& a);
void norm(const Norm& a);
void norm_backward(const NormBackward& a);
void activate(const Activate& a);
void activate_backward(const ActivateBackward& a);
void gated(const Gated& a);
void gated_backward(const GatedBackward& a);
void attention(const Attention& a);
void attention_each(std::span<const Attention> all);
void attention_backward(const AttentionBackward& a);
void relative_bias(const RelativeBias& a);
void relative_bias_backward(const RelativeBiasBackward& a);
void rotary(const Rotary& a);
void causal_conv(const CausalConv& a);
void causal_conv_backward(const CausalConvBackward& a);
void selective_scan(const SelectiveScan& a);
void selective_scan_backward(const SelectiveScanBackward& a);
void moving_average(const MovingAverage& a);
void moving_average_backward(const MovingAverageBackward& a);
void cross_entropy(const CrossEntropy& a);
void softmax(const Softmax& a);
void softmax_backward(const SoftmaxBackward& a);
void binary(const Binary& a);
void scale(const Scale& a);
void dropout(const Dropout& a);
void copy(const Copy& a);
void write_pages(const WritePages& a);
void fill(void* y, DType type, int64_t count, float value);
void l2_norm(std::span<const L2NormPart> parts, float* norm);
void adamw(std::span<const OptimizerTensor> tensors, const AdamW& a);
void lion(std::span<const OptimizerTensor> tensors, const Lion& a);
void sgd(std::span<const OptimizerTensor> tensors, const Sgd& a);

}  // namespace qkv::kernels::cpu_set
