#include "qkv/kernels/cuda/cublaslt.h"

#include "qkv/core/notice.h"
#include "qkv/cuda/runtime.h"
#include "qkv/tensor/device.h"

#include <fmt/core.h>

#include <dlfcn.h>

#include <array>
#include <map>
#include <mutex>
#include <tuple>

namespace qkv::kernels {
namespace {

// What is used of the library's interface (docs.nvidia.com/cuda/cublas, "Using the cuBLASLt API"), which is the same in
// its versions 12 and 13.
enum : int { type_f32 = 0, type_f16 = 2, type_bf16 = 14 };
enum : int { compute_f32 = 68, compute_tf32 = 77 };
enum : int { desc_transpose_a = 3, desc_transpose_b = 4, desc_epilogue = 7, desc_bias_pointer = 8 };
enum : int { preference_workspace = 1, preference_reduction = 3, preference_alignment_a = 5 };  // of B, C, D: 6, 7, 8
enum : uint32_t { epilogue_none = 1, epilogue_relu = 2, epilogue_bias = 4, epilogue_gelu = 32 };
constexpr uint32_t reduce_in_compute_type = 2;  // parts of a sum do not meet in 16 bits

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr size_t workspace_bytes = size_t{32} << 20;

struct Library {
  int (*create)(void** handle);
  int (*create_desc)(void** desc, int compute, int scale);
  int (*set_desc)(void* desc, int attribute, const void* value, size_t bytes);
  int (*create_layout)(void** layout, int type, uint64_t rows, uint64_t columns, int64_t ld);
  int (*create_preference)(void** preference);
  int (*set_preference)(void* preference, int attribute, const void* value, size_t bytes);
  int (*choose)(void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference, int wanted,
                Heuristic* results, int* found);
  int (*multiply)(void* handle, void* desc, const void* alpha, const void* a, void* a_layout, const void* b,
                  void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                  const Algorithm* algorithm, void* workspace, size_t workspace_bytes, void* stream);
  void* handle = nullptr;
  void* workspace = nullptr;
};

// Whether it has the functions, and a handle could be made.
bool begins(void* file, Library& lt) {
  bool whole = true;
  const auto find = [&](auto& function, const char* name) {
    void* symbol = ::dlsym(file, name);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
    whole = whole && symbol != nullptr;
  };
  find(lt.create, "cublasLtCreate");
  find(lt.create_desc, "cublasLtMatmulDescCreate");
  find(lt.set_desc, "cublasLtMatmulDescSetAttribute");
  find(lt.create_layout, "cublasLtMatrixLayoutCreate");
  find(lt.create_preference, "cublasLtMatmulPreferenceCreate");
  find(lt.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  find(lt.choose, "cublasLtMatmulAlgoGetHeuristic");
  find(lt.multiply, "cublasLtMatmul");
  return whole && lt.create(&lt.handle) == 0;
}

// Null where there is none.
const Library* library() {
  static const Library* const instance = []() -> const Library* {
    cuda::stream();  // a handle is for the card that the thread has entered
    Library lt;
    const auto works = [&](void* file) { return begins(file, lt); };
    if (cuda::open_library("libcublasLt", {13, 12}, works) == nullptr) return nullptr;
    lt.workspace = cuda::allocate(workspace_bytes);
    return new Library(lt);  // as long as the process
  }();
  return instance;
}

// The library has columns where we have rows, so that it multiplies op(B)^T op(A)^T: its A is our B.
struct Plan {
  bool possible = false;
  void *desc = nullptr, *a = nullptr, *b = nullptr, *c = nullptr;
  Algorithm algorithm{};
};

uint32_t alignment_of(const void* pointer) {
  uint32_t bytes = 16;
  while (reinterpret_cast<uintptr_t>(pointer) % bytes != 0) bytes /= 2;
  return bytes;
}

int code_of(DType type) { return type == DType::bf16 ? type_bf16 : type == DType::f16 ? type_f16 : type_f32; }

uint32_t epilogue_of(const Gemm& a, const void* bias) {
  const uint32_t activation = a.activation == Activation::relu        ? epilogue_relu
                              : a.activation == Activation::gelu_tanh ? epilogue_gelu
                                                                      : 0U;
  const uint32_t both = activation | (bias != nullptr ? epilogue_bias : 0U);
  return both == 0 ? epilogue_none : both;
}

Plan plan_for(const Library& lt, const Gemm& a, const void* bias) {
  Plan plan;
  const int compute = a.a_type == DType::f32 && tf32() ? compute_tf32 : compute_f32;
  const int transpose_a = a.b_transposed ? 1 : 0, transpose_b = a.a_transposed ? 1 : 0;
  const uint32_t epilogue = epilogue_of(a, bias);
  const auto m = static_cast<uint64_t>(a.m), n = static_cast<uint64_t>(a.n), k = static_cast<uint64_t>(a.k);
  void* preference = nullptr;
  bool good = lt.create_desc(&plan.desc, compute, type_f32) == 0;
  good = good && lt.set_desc(plan.desc, desc_transpose_a, &transpose_a, sizeof transpose_a) == 0;
  good = good && lt.set_desc(plan.desc, desc_transpose_b, &transpose_b, sizeof transpose_b) == 0;
  good = good && lt.set_desc(plan.desc, desc_epilogue, &epilogue, sizeof epilogue) == 0;
  good =
      good && lt.create_layout(&plan.a, code_of(a.b_type), a.b_transposed ? k : n, a.b_transposed ? n : k, a.ldb) == 0;
  good =
      good && lt.create_layout(&plan.b, code_of(a.a_type), a.a_transposed ? m : k, a.a_transposed ? k : m, a.lda) == 0;
  good = good && lt.create_layout(&plan.c, code_of(a.c_type), n, m, a.ldc) == 0;
  good = good && lt.create_preference(&preference) == 0;
  good = good && lt.set_preference(preference, preference_workspace, &workspace_bytes, sizeof workspace_bytes) == 0;
  good = good && lt.set_preference(preference, preference_reduction, &reduce_in_compute_type,
                                   sizeof reduce_in_compute_type) == 0;
  int attribute = preference_alignment_a;
  for (const void* pointer : {a.b, a.a, const_cast<const void*>(a.c), const_cast<const void*>(a.c)}) {
    const uint32_t bytes = alignment_of(pointer);
    good = good && lt.set_preference(preference, attribute++, &bytes, sizeof bytes) == 0;
  }
  if (good && bias != nullptr) good = lt.set_desc(plan.desc, desc_bias_pointer, &bias, sizeof bias) == 0;
  Heuristic best{};
  int found = 0;
  plan.possible = good &&
                  lt.choose(lt.handle, plan.desc, plan.a, plan.b, plan.c, plan.c, preference, 1, &best, &found) == 0 &&
                  found > 0 && best.state == 0;
  plan.algorithm = best.algorithm;
  return plan;
}

}  // namespace

bool has_cublaslt() { return library() != nullptr; }

bool cublaslt_has(Activation activation) {
  return activation == Activation::none || activation == Activation::relu || activation == Activation::gelu_tanh;
}

bool multiply_by_cublaslt(const Gemm& a, const void* bias) {
  if (a.a_type != a.b_type || (a.c_type != a.a_type && a.c_type != DType::f32) || a.k == 0) return false;
  const Library* lt = library();
  if (lt == nullptr) return false;
  // One call at a time: the bias is written into the plan.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  using Key =
      std::tuple<std::array<int64_t, 6>, std::array<DType, 2>, std::array<bool, 3>, uint32_t, std::array<uint32_t, 3>>;
  static std::map<Key, Plan> plans;
  const Key key{{a.m, a.n, a.k, a.lda, a.ldb, a.ldc},
                {a.a_type, a.c_type},
                {a.a_transposed, a.b_transposed, tf32()},
                epilogue_of(a, bias),
                {alignment_of(a.a), alignment_of(a.b), alignment_of(a.c)}};
  auto found = plans.find(key);
  if (found == plans.end()) found = plans.emplace(key, plan_for(*lt, a, bias)).first;
  const Plan& plan = found->second;
  bool good = plan.possible;
  if (bias != nullptr) good = good && lt->set_desc(plan.desc, desc_bias_pointer, &bias, sizeof bias) == 0;
  const float alpha = 1, beta = a.accumulate ? 1 : 0;
  good = good && lt->multiply(lt->handle, plan.desc, &alpha, a.b, plan.a, a.a, plan.b, &beta, a.c, plan.c, a.c, plan.c,
                              &plan.algorithm, lt->workspace, workspace_bytes, cuda::stream()) == 0;
  // With a bias or an activation, the caller may try it without.
  if (!good && epilogue_of(a, bias) == epilogue_none)
    notice("cuda",
           fmt::format("cuBLASLt refuses the product {} x {} x {} of {} to {}, which goes through a slower kernel", a.m,
                       a.n, a.k, name_of(a.a_type), name_of(a.c_type)));
  return good;
}

}  // namespace qkv::kernels
