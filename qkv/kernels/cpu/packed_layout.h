// How the fast kernels keep a quantised weight W[n,k]: sixteen rows side by side, so that one vector holds the same
// four columns of all of them, which is what integer dot products (VNNI) take.
//
// A group is 16 rows. The codes of each block of 32 columns are a plane of their low bits, then one of their high bits.
// A plane of 8 bits is eight vectors of 64 bytes, "quads": quad j holds columns 4j to 4j+3 of row r in bytes 4r to
// 4r+3. In a plane of b < 8 bits, 8/b quads share a vector, at rising bit positions: quad j is in vector j / (8/b), so
// that who takes the quads in order reads memory in order. Before the codes of a block, or of the blocks of a
// super-block, stand their scales: a row of 16 f16 scales (and one of minima), then, where blocks have their own
// integer scales, 16 bytes for each (and 16 of minima). So a group is one stream, read in order. Where a row has one
// scale, 16 f32 stand behind all codes. Rows beyond n are zero. A weight is scale * (code - offset), or scale * code -
// minimum; IQ4_NL's code goes through a table.
#pragma once

#include "qkv/tensor/dtype.h"

#include <cstdint>

namespace qkv::kernels::cpu_set {

constexpr int64_t group_rows = 16;
constexpr int64_t block_columns = 32;

// Columns that i8 rows lack to whole blocks are zero.
constexpr int64_t packed_columns(int64_t k) { return (k + block_columns - 1) / block_columns * block_columns; }

struct PackedLayout {
  int low_bits = 8;         // 2, 4 or 8
  int high_bits = 0;        // 0, 1 or 2
  int scales = 1;           // of a block: 1, or 2 where each 16 columns have one; 0: a row has one
  int blocks = 1;           // of a super-block
  bool own_scales = false;  // blocks have integer scales beside the super-block's f16
  bool minimum = false;
  int offset = 0;
  bool table = false;  // codes are places in a table of 16 values

  constexpr int64_t low_bytes() const { return low_bits * 64; }
  constexpr int64_t plane_bytes() const { return (low_bits + high_bits) * 64; }  // of a block of a group
  constexpr int64_t header_bytes() const { return minimum ? 64 : 32; }           // of a super-block's f16
  constexpr int64_t own_bytes() const { return own_scales ? scales * (minimum ? 32 : 16) : 0; }  // of a block
  constexpr int64_t scale_bytes() const { return scales == 0 ? 0 : header_bytes() + blocks * own_bytes(); }
  constexpr int64_t super_bytes() const { return blocks * plane_bytes() + scale_bytes(); }

  // Places in a group: of the scales of a super-block, behind which the own scales of its blocks stand; of a block's
  // codes; of the end of k columns, where the rows' scales stand if rows have one.
  constexpr int64_t scales_of(int64_t super) const { return super * super_bytes(); }
  constexpr int64_t codes(int64_t block) const {
    return scales_of(block / blocks) + scale_bytes() + block % blocks * plane_bytes();
  }
  constexpr int64_t own_scales_of(int64_t block) const {
    return scales_of(block / blocks) + header_bytes() + block % blocks * own_bytes();
  }
  constexpr int64_t end(int64_t k) const { return scales_of(k / block_columns / blocks); }
  constexpr int64_t group_bytes(int64_t k) const {
    return (end(k) + (scales == 0 ? group_rows * 4 : 0) + 63) / 64 * 64;
  }
};

// A row's scale alone: LLM.int8's and dynamic quantisation's rows of integers.
inline constexpr PackedLayout i8_layout{.scales = 0, .offset = 128};
inline constexpr PackedLayout q8_0_layout{.offset = 128};
inline constexpr PackedLayout q4_0_layout{.low_bits = 4, .offset = 8};
inline constexpr PackedLayout q4_1_layout{.low_bits = 4, .minimum = true};
inline constexpr PackedLayout q5_0_layout{.low_bits = 4, .high_bits = 1, .offset = 16};
inline constexpr PackedLayout q5_1_layout{.low_bits = 4, .high_bits = 1, .minimum = true};
inline constexpr PackedLayout iq4_nl_layout{.low_bits = 4, .offset = 128, .table = true};
inline constexpr PackedLayout q2_k_layout{.low_bits = 2, .scales = 2, .blocks = 8, .own_scales = true, .minimum = true};
inline constexpr PackedLayout q3_k_layout{
    .low_bits = 2, .high_bits = 1, .scales = 2, .blocks = 8, .own_scales = true, .offset = 4};
inline constexpr PackedLayout q4_k_layout{.low_bits = 4, .blocks = 8, .own_scales = true, .minimum = true};
inline constexpr PackedLayout q5_k_layout{
    .low_bits = 4, .high_bits = 1, .blocks = 8, .own_scales = true, .minimum = true};
inline constexpr PackedLayout q6_k_layout{
    .low_bits = 4, .high_bits = 2, .scales = 2, .blocks = 8, .own_scales = true, .offset = 32};

template <DType its_type, const PackedLayout& layout_of_type>
struct LayoutTag {
  static constexpr DType type = its_type;
  static constexpr const PackedLayout& layout = layout_of_type;
};

// Calls body(tag), tag::layout being the type's layout as a constant.
template <typename Body>
void with_layout(DType type, Body&& body) {
  switch (type) {
    case DType::q8_0:
      return body(LayoutTag<DType::q8_0, q8_0_layout>());
    case DType::q4_0:
      return body(LayoutTag<DType::q4_0, q4_0_layout>());
    case DType::q4_1:
      return body(LayoutTag<DType::q4_1, q4_1_layout>());
    case DType::q5_0:
      return body(LayoutTag<DType::q5_0, q5_0_layout>());
    case DType::q5_1:
      return body(LayoutTag<DType::q5_1, q5_1_layout>());
    case DType::iq4_nl:
      return body(LayoutTag<DType::iq4_nl, iq4_nl_layout>());
    case DType::q2_k:
      return body(LayoutTag<DType::q2_k, q2_k_layout>());
    case DType::q3_k:
      return body(LayoutTag<DType::q3_k, q3_k_layout>());
    case DType::q4_k:
      return body(LayoutTag<DType::q4_k, q4_k_layout>());
    case DType::q5_k:
      return body(LayoutTag<DType::q5_k, q5_k_layout>());
    case DType::q6_k:
      return body(LayoutTag<DType::q6_k, q6_k_layout>());
    default:
      return body(LayoutTag<DType::i8, i8_layout>());
  }
}

inline PackedLayout layout_of(DType type) {
  PackedLayout found;
  with_layout(type, [&](auto tag) { found = decltype(tag)::layout; });
  return found;
}

// Behind the groups of i8 rows stands the value beyond which columns of x are outliers; 0: none are.
constexpr int64_t outlier_bytes = 64;
inline float* outlier_bound(void* packed, int64_t n, int64_t k) {
  const int64_t groups = (n + group_rows - 1) / group_rows;
  return reinterpret_cast<float*>(static_cast<uint8_t*>(packed) + groups * i8_layout.group_bytes(packed_columns(k)));
}

}  // namespace qkv::kernels::cpu_set
