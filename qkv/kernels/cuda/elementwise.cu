#include "qkv/core/random.h"
#include "qkv/kernels/cuda/cuda.h"
#include "qkv/kernels/cuda/elements.h"
#include "qkv/kernels/cuda/reduce.h"
#include "qkv/kernels/cuda/scratch.h"

#include <cmath>

namespace qkv::kernels::cuda_set {
namespace {

template <BinaryOp op>
struct Combine {
  float alpha, beta;
  __device__ float operator()(int64_t, float a, float b) const {
    return op == BinaryOp::add ? alpha * a + beta * b : alpha * a * (beta * b);
  }
};

// b begins anew after b_count elements.
template <typename T, BinaryOp op>
__global__ void __launch_bounds__(element_block) combine_repeated(Binary a) {
  const Combine<op> combine{a.alpha, a.beta};
  const T* b = static_cast<const T*>(a.b);
  transform<false>(
      part_of_grid(), static_cast<T*>(a.y), a.count,
      [&](int64_t i, float left) { return combine(i, left, to_float(b[i % a.b_count])); }, static_cast<const T*>(a.a));
}

struct Times {
  float alpha;
  __device__ float operator()(int64_t, float x) const { return alpha * x; }
};

struct Drop {
  MaskKey key;
  uint32_t threshold;  // dropped: hash < threshold
  float kept;
  __device__ float operator()(int64_t i, float x) const {
    return dropout_hash(key(), static_cast<uint32_t>(i)) < threshold ? 0 : x * kept;
  }
};

struct Constant {
  float value;
  __device__ float operator()(int64_t) const { return value; }
};

template <typename T>
void fill_numbers(void* y, int64_t count, float value) {
  map("fill", static_cast<T*>(y), count, Constant{value});
}

template <typename T>
__global__ void __launch_bounds__(element_block) set_integers(T* y, int64_t count, T value) {
  const Part part = part_of_grid();
  for (int64_t i = part.own; i < count; i += part.step) y[i] = value;
}
template <typename T>
void fill_integers(void* y, int64_t count, float value) {
  launch("fill", set_integers<T>, grid_for(count), element_block, 0, static_cast<T*>(y), count, static_cast<T>(value));
}

}  // namespace

void binary(const Binary& a) {
  with_type(a.type, [&]<typename T>(T) {
    const auto start = [&](auto op) {
      if (a.b_count == a.count) {
        map("binary", static_cast<T*>(a.y), a.count, Combine<op.value>{a.alpha, a.beta}, static_cast<const T*>(a.a),
            static_cast<const T*>(a.b));
      } else {
        launch("binary", combine_repeated<T, op.value>, grid_for(a.count), element_block, 0, a);
      }
    };
    if (a.op == BinaryOp::add) {
      start(std::integral_constant<BinaryOp, BinaryOp::add>());
    } else {
      start(std::integral_constant<BinaryOp, BinaryOp::multiply>());
    }
  });
}

void scale(const Scale& a) {
  with_type(a.type, [&]<typename T>(T) {
    map("scale", static_cast<T*>(a.y), a.count, Times{a.alpha}, static_cast<const T*>(a.x));
  });
}

void dropout(const Dropout& a) {
  // Whole numbers below p 2^32 are those below the next whole number.
  const double threshold = std::ceil(static_cast<double>(a.p) * 0x1p32);
  const Drop drop{a.key, static_cast<uint32_t>(std::min(threshold, 0x1p32 - 1)),
                  static_cast<float>(1 / (1 - static_cast<double>(a.p)))};
  with_type(a.type,
            [&]<typename T>(T) { map("dropout", static_cast<T*>(a.y), a.count, drop, static_cast<const T*>(a.x)); });
}

void fill(void* y, DType type, int64_t count, float value) {
  switch (type) {
    case DType::f32:
      return fill_numbers<float>(y, count, value);
    case DType::bf16:
      return fill_numbers<bf16>(y, count, value);
    case DType::f16:
      return fill_numbers<f16>(y, count, value);
    case DType::i64:
      return fill_integers<int64_t>(y, count, value);
    case DType::i32:
      return fill_integers<int32_t>(y, count, value);
    default:
      return fill_integers<uint8_t>(y, count, value);
  }
}

}  // namespace qkv::kernels::cuda_set
