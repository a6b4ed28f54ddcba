// Matrix products by oneDNN; a few rows against a stored [n,k] matrix by our own loop (gemv.h), which streams the
// matrix once at memory speed.
#include "qkv/kernels/cpu/cpu.h"
#include "qkv/kernels/cpu/gemv.h"
#include "qkv/tensor/tensor.h"

#include <dnnl.hpp>

#include <cstring>
#include <mutex>
#include <string>
#include <unordered_map>

namespace qkv::kernels::cpu_set {
namespace {

using dnnl::memory;

// What distinguishes one prepared product from another.
struct Key {
  int64_t m, n, k, lda, ldb, ldc;
  uint8_t a_type, b_type, c_type, a_transposed, b_transposed, accumulate, bias, activation;
  bool operator==(const Key& other) const { return std::memcmp(this, &other, sizeof *this) == 0; }
};
static_assert(sizeof(Key) == 56, "no padding: keys are compared and hashed as bytes");

struct KeyHash {
  size_t operator()(const Key& key) const {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(&key), sizeof key});
  }
};

struct Product {
  dnnl::matmul primitive;
  memory::desc a, b, c, bias, scratchpad;
};

const dnnl::engine& engine() {
  static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

memory::data_type dnnl_type(DType type) {
  return type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc matrix(int64_t rows, int64_t columns, DType type, int64_t ld, bool transposed) {
  return {{rows, columns}, dnnl_type(type), transposed ? memory::dims{1, ld} : memory::dims{ld, 1}};
}

// Activations that oneDNN's epilogue computes as accurately as our own kernels.
bool fusable(Activation activation) { return activation == Activation::none || activation == Activation::relu; }

// oneDNN 3 describes a product in one step where oneDNN 2 (Debian 12) takes two.
dnnl::matmul::primitive_desc described(const Product& p, bool bias, const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return bias ? dnnl::matmul::primitive_desc(engine(), p.a, p.b, p.bias, p.c, attributes)
              : dnnl::matmul::primitive_desc(engine(), p.a, p.b, p.c, attributes);
#else
  return {bias ? dnnl::matmul::desc(p.a, p.b, p.bias, p.c) : dnnl::matmul::desc(p.a, p.b, p.c), attributes, engine()};
#endif
}

void append_relu(dnnl::post_ops& after) {
#if DNNL_VERSION_MAJOR >= 3
  after.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
  after.append_eltwise(1.0F, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
}

Product prepare(const Gemm& g) {
  Product product;
  product.a = matrix(g.m, g.k, g.a_type, g.lda, g.a_transposed);
  product.b = matrix(g.k, g.n, g.b_type, g.ldb, g.b_transposed);
  product.c = matrix(g.m, g.n, g.c_type, g.ldc, false);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (g.accumulate) after.append_sum(1.0F);
  if (g.activation == Activation::relu) append_relu(after);
  attributes.set_post_ops(after);
  if (g.bias != nullptr) product.bias = {{1, g.n}, memory::data_type::f32, memory::format_tag::ab};
  const dnnl::matmul::primitive_desc chosen = described(product, g.bias != nullptr, attributes);
  product.scratchpad = chosen.scratchpad_desc();
  product.primitive = dnnl::matmul(chosen);
  return product;
}

// Preparing a product compiles code for it; a training step asks for the same few dozen over and over.
class Products {
 public:
  const Product& get(const Gemm& g) {
    const auto small = [](auto value) { return static_cast<uint8_t>(value); };
    const Key key{g.m,
                  g.n,
                  g.k,
                  g.lda,
                  g.ldb,
                  g.ldc,
                  small(g.a_type),
                  small(g.b_type),
                  small(g.c_type),
                  small(g.a_transposed),
                  small(g.b_transposed),
                  small(g.accumulate),
                  small(g.bias != nullptr),
                  small(g.activation)};
    const auto found = products_.find(key);
    if (found != products_.end()) return found->second;
    if (products_.size() >= 1024) products_.clear();  // texts of every length must not grow it without end
    return products_.emplace(key, prepare(g)).first->second;
  }

 private:
  std::unordered_map<Key, Product, KeyHash> products_;
};

void multiply(const Gemm& g) {
  thread_local Products products;
  thread_local dnnl::stream stream(engine());
  thread_local Tensor scratch;
  const Product& product = products.get(g);
  const int64_t needed = static_cast<int64_t>(product.scratchpad.get_size());
  if (needed > 0 && (!scratch || scratch.numel() < needed)) scratch = Tensor::empty({needed}, DType::u8);
  const auto bind = [](const memory::desc& description, const void* data) {
    return memory(description, engine(), const_cast<void*>(data));
  };
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, bind(product.a, g.a)},
                                               {DNNL_ARG_WEIGHTS, bind(product.b, g.b)},
                                               {DNNL_ARG_DST, bind(product.c, g.c)}};
  if (g.bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, bind(product.bias, g.bias));
  if (needed > 0) arguments.emplace(DNNL_ARG_SCRATCHPAD, bind(product.scratchpad, scratch.raw()));
  product.primitive.execute(stream, arguments);
}

bool bf16_supported() {
  static const bool supported = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core &&
                                dnnl::get_effective_cpu_isa() != dnnl::cpu_isa::avx2_vnni;
  return supported;
}

Tensor widened(const void* data, DType from, int64_t count, DType to) {
  Tensor copy_of = Tensor::empty({count}, to);
  copy({.rank = 1,
        .size = {count},
        .x = data,
        .x_type = from,
        .x_stride = {1},
        .y = copy_of.raw(),
        .y_type = to,
        .y_stride = {1}});
  return copy_of;
}

int64_t extent(int64_t rows, int64_t columns, int64_t ld, bool transposed) {
  return transposed ? (columns - 1) * ld + rows : (rows - 1) * ld + columns;
}

// A product whose operands differ in type, or whose types this processor lacks, in f32 or bf16 throughout.
bool convert_and_multiply(const Gemm& g) {
  const bool mixed = g.a_type != g.b_type;
  if (!mixed && (g.a_type == DType::f32 ? g.c_type == DType::f32 : bf16_supported())) return false;
  Gemm same = g;
  Tensor a, b, c;
  if (g.a_type == DType::bf16) {
    a = widened(g.a, g.a_type, extent(g.m, g.k, g.lda, g.a_transposed), DType::f32);
    same.a = a.raw();
    same.a_type = DType::f32;
  }
  if (g.b_type == DType::bf16) {
    b = widened(g.b, g.b_type, extent(g.k, g.n, g.ldb, g.b_transposed), DType::f32);
    same.b = b.raw();
    same.b_type = DType::f32;
  }
  if (g.c_type == DType::bf16) {
    c = widened(g.c, g.c_type, extent(g.m, g.n, g.ldc, false), DType::f32);
    same.c = c.raw();
    same.c_type = DType::f32;
  }
  gemm(same);
  if (c)
    copy({.rank = 2,
          .size = {g.m, g.n},
          .x = c.raw(),
          .x_type = DType::f32,
          .x_stride = {g.ldc, 1},
          .y = g.c,
          .y_type = g.c_type,
          .y_stride = {g.ldc, 1}});
  return true;
}

// C += the product, by way of a product of its own.
void multiply_apart(const Gemm& g) {
  const Tensor product = Tensor::empty({g.m, g.n}, g.c_type);
  Gemm apart = g;
  apart.c = product.raw();
  apart.ldc = g.n;
  apart.accumulate = false;
  gemm(apart);
  const auto row = [&](const void* data, int64_t i, int64_t ld) {
    return static_cast<char*>(const_cast<void*>(data)) + i * ld * size_of(g.c_type);
  };
  for (int64_t i = 0; i < g.m; ++i)
    binary({.count = g.n,
            .b_count = g.n,
            .type = g.c_type,
            .a = row(g.c, i, g.ldc),
            .b = row(product.raw(), i, g.n),
            .y = row(g.c, i, g.ldc)});
}

// The product with its single row of A, stored as a column, made dense.
void multiply_dense_row(const Gemm& g) {
  const Tensor row = Tensor::empty({g.k}, g.a_type);
  copy({.rank = 1,
        .size = {g.k},
        .x = g.a,
        .x_type = g.a_type,
        .x_stride = {g.lda},
        .y = row.raw(),
        .y_type = g.a_type,
        .y_stride = {1}});
  Gemm dense = g;
  dense.a = row.raw();
  dense.lda = g.k;
  dense.a_transposed = false;
  gemm(dense);
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return reference().gemm(g);
  if (is_block(g.b_type)) return gemm_of_blocks(g);
  if (gemv_fits(g)) return gemv(g);
  // oneDNN 3.7 takes one row of A for dense whatever its stride.
  if (DNNL_VERSION_MAJOR >= 3 && g.m == 1 && g.a_transposed && g.lda != 1) return multiply_dense_row(g);
  // oneDNN 3.7 forgets what was in C in some products of one row or one column.
  if (DNNL_VERSION_MAJOR >= 3 && g.accumulate && (g.m == 1 || g.n == 1)) return multiply_apart(g);
  if (!fusable(g.activation) || (g.accumulate && g.activation != Activation::none)) {
    Gemm plain = g;
    plain.activation = Activation::none;
    gemm(plain);
    if (g.accumulate) return;
    for (int64_t i = 0; i < (g.ldc == g.n ? 1 : g.m); ++i) {
      void* row = static_cast<char*>(g.c) + i * g.ldc * size_of(g.c_type);
      activate({.kind = g.activation, .count = g.ldc == g.n ? g.m * g.n : g.n, .type = g.c_type, .x = row, .y = row});
    }
    return;
  }
  if (!convert_and_multiply(g)) multiply(g);
}

}  // namespace qkv::kernels::cpu_set
