// How the fast kernels keep a weight W[n,k] of f32 or bf16: in panels of 32 rows, so that a vector holds the same
// column of neighbouring rows.
//
// A word is a column of f32, or two columns of bf16, the first of them in the low half: what dot products of bf16 take.
// A panel is the first word of each of its rows, then the second of each, and so on. Rows beyond n are zero, and so is
// the last half of a word when k is odd. Rows of x are multiplied four together, a "quad": the first word of each of
// the four, then the second, and so on; rows beyond m are zero.
//
// A weight of bf16 begins with 64 bytes, of which the first says whether its panels are compact (compact_panel.h).
#pragma once

#include "qkv/kernels/kernels.h"

namespace qkv::kernels::cpu_set {

constexpr int64_t panel_rows = 32;
constexpr int64_t quad_rows = 4;

constexpr bool in_panels(DType type) { return type == DType::f32 || type == DType::bf16; }
constexpr int64_t words_of(DType type, int64_t k) { return type == DType::bf16 ? (k + 1) / 2 : k; }
constexpr int64_t panels_of(int64_t n) { return (n + panel_rows - 1) / panel_rows; }
constexpr int64_t quads_of(int64_t m) { return (m + quad_rows - 1) / quad_rows; }
constexpr int64_t panels_head(DType type) { return type == DType::bf16 ? 64 : 0; }
constexpr int64_t plain_panel_bytes(int64_t words) {
  return panel_rows * words * static_cast<int64_t>(sizeof(uint32_t));
}
int64_t panels_bytes(DType type, int64_t n, int64_t k, bool plain);

// The panels of a weight: where they begin, and how far apart.
struct Panels {
  const uint8_t* first;
  int64_t bytes;
  bool compact;
  const uint8_t* operator[](int64_t panel) const { return first + panel * bytes; }
};
Panels panels_in(const void* packed, DType type, int64_t k);

bool pack_panels(const Pack& a);
// The product of PackedGemm for a weight in panels.
void panel_gemm(const PackedGemm& g);

}  // namespace qkv::kernels::cpu_set
