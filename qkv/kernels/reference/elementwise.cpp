#include "qkv/core/random.h"
#include "qkv/kernels/blocks.h"
#include "qkv/kernels/on_host.h"
#include "qkv/kernels/reference/element.h"
#include "qkv/kernels/reference/reference.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

namespace qkv::kernels::reference_set {

void binary(const Binary& a) {
  for (int64_t i = 0; i < a.count; ++i) {
    const double left = a.alpha * load(a.a, a.type, i);
    const double right = a.beta * load(a.b, a.type, i % a.b_count);
    store(a.y, a.type, i, a.op == BinaryOp::add ? left + right : left * right);
  }
}

void scale(const Scale& a) {
  for (int64_t i = 0; i < a.count; ++i) store(a.y, a.type, i, a.alpha * load(a.x, a.type, i));
}

void dropout(const Dropout& a) {
  for (int64_t i = 0; i < a.count; ++i) {
    const bool dropped = dropout_hash(a.key(), static_cast<uint32_t>(i)) < static_cast<double>(a.p) * 0x1p32;
    store(a.y, a.type, i, dropped ? 0 : load(a.x, a.type, i) / (1 - static_cast<double>(a.p)));
  }
}

namespace {

// Rows of blocks: as they are, taken out of their blocks, or put into them.
void copy_blocks(const Copy& a, const char* x, char* y, int d) {
  if (d < a.rank - 1) {
    for (int64_t i = 0; i < a.size[d]; ++i)
      copy_blocks(a, x + bytes_of(a.x_type, i * a.x_stride[d]), y + bytes_of(a.y_type, i * a.y_stride[d]), d + 1);
  } else if (a.x_type == a.y_type) {
    std::memcpy(y, x, static_cast<size_t>(bytes_of(a.x_type, a.size[d])));
  } else if (is_block(a.y_type)) {
    std::vector<float> row(static_cast<size_t>(a.size[d]));
    for (int64_t i = 0; i < a.size[d]; ++i) row[static_cast<size_t>(i)] = static_cast<float>(load(x, a.x_type, i));
    quantize_q8_0(row.data(), reinterpret_cast<BlockQ8_0*>(y), a.size[d]);
  } else {
    dequantize_row(a.x_type, x, reinterpret_cast<float*>(y), a.size[d]);
  }
}

}  // namespace

void copy(const Copy& call) {
  const Copy a = with_place(call);
  if (is_block(a.x_type) || is_block(a.y_type))
    return copy_blocks(a, static_cast<const char*>(a.x), static_cast<char*>(a.y), 0);
  int64_t count = 1;
  for (int d = 0; d < a.rank; ++d) count *= a.size[d];
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    int64_t from = 0;
    int64_t to = 0;
    for (int d = a.rank - 1; d >= 0; --d) {
      from += rest % a.size[d] * a.x_stride[d];
      to += rest % a.size[d] * a.y_stride[d];
      rest /= a.size[d];
    }
    // Integers beyond 2^53 do not survive a double.
    if (a.x_type == a.y_type && a.x_type == DType::i64) {
      static_cast<int64_t*>(a.y)[to] = static_cast<const int64_t*>(a.x)[from];
    } else {
      store(a.y, a.y_type, to, load(a.x, a.x_type, from));
    }
  }
}

void write_pages(const WritePages& a) {
  const std::pair<const ConstHeads&, void*> both[] = {{a.k, a.keys}, {a.v, a.values}};
  for (int64_t i = 0; i < a.rows; ++i) {
    if (a.places[i] < 0) continue;
    const int64_t page = a.places[i] / a.page_size, row = a.places[i] % a.page_size;
    for (const auto& [from, pages] : both)
      copy({.rank = 2,
            .size = {a.heads, a.head_dim},
            .x = static_cast<const char*>(from.data) + bytes_of(a.type, i * from.time_stride),
            .x_type = a.type,
            .x_stride = {from.head_stride, 1},
            .y = static_cast<char*>(pages) + bytes_of(a.page_type, (page * a.heads * a.page_size + row) * a.head_dim),
            .y_type = a.page_type,
            .y_stride = {a.page_size * a.head_dim, 1}});
  }
}

void fill(void* y, DType type, int64_t count, float value) {
  for (int64_t i = 0; i < count; ++i) store(y, type, i, value);
}

void l2_norm(std::span<const L2NormPart> parts, float* norm) {
  double squares = 0;
  for (const L2NormPart& part : parts)
    for (int64_t i = 0; i < part.count; ++i) squares += load(part.x, part.type, i) * load(part.x, part.type, i);
  *norm = static_cast<float>(std::sqrt(squares));
}

}  // namespace qkv::kernels::reference_set
