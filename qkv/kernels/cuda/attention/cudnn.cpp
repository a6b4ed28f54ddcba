#include "qkv/kernels/cuda/attention/cudnn.h"

#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/cuda/runtime.h"
#include "qkv/kernels/cuda/scratch.h"

#include <bit>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <cudnn_frontend.h>

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // where the library's headers look for its functions
}

namespace qkv::kernels {
namespace {

namespace graphs = cudnn_frontend::graph;
using Numbers = std::vector<int64_t>;
using Described = std::shared_ptr<graphs::Tensor_attributes>;

// What the arrays are called in plans.
enum Place : int64_t {
  place_q = 1,
  place_k,
  place_v,
  place_out,
  place_stats,
  place_dout,
  place_dq,
  place_dk,
  place_dv
};
using Pointers = std::unordered_map<int64_t, void*>;

// Where texts of ever new lengths come, no plan would serve twice.
constexpr size_t most_plans = 64;

struct CudnnPlan {
  std::unique_ptr<graphs::Graph> graph;  // null where the library has nothing for it
  int64_t workspace = 0;                 // bytes
};

class Cudnn {
 public:
  // Null where nobody wishes for the library, or there is none.
  static Cudnn* instance() {
    static Cudnn* const made = begin();
    return made;
  }

  // Runs the plan that `describe` makes for what `key` says. False where there is none.
  template <typename Describe>
  bool run(const Numbers& key, const Describe& describe, Pointers pointers) {
    const std::lock_guard lock(mutex_);
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (plans_.size() == most_plans) return false;
      found = plans_.emplace(key, plan(describe)).first;
    }
    const CudnnPlan& plan = found->second;
    if (plan.graph == nullptr) return false;
    try {
      const Scratch<char> workspace(plan.workspace);
      if (cudnn_frontend::detail::set_stream(handle_, static_cast<cudaStream_t>(cuda::stream())) !=
          CUDNN_STATUS_SUCCESS)
        return tell("it refuses the stream");
      auto status = plan.graph->execute(handle_, pointers, workspace.data());
      return status.is_good() || tell(status.get_message());
    } catch (const std::runtime_error& error) {  // no memory for the workspace, or a function that the library lacks
      return tell(error.what());
    }
  }

 private:
  static Cudnn* begin() {
    if (!cudnn_is_wished()) return nullptr;
    // The library's headers look for a runtime of their own, beside the one that is linked in, and would take any
    // version: it must be the one that they were compiled for. Both work on one context.
    constexpr int version = CUDART_VERSION / 1000;
    if (cuda::open_library("libcudart", {version}) == nullptr) return nullptr;
    ::setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", fmt::format("libcudart.so.{}", version).c_str(), 0);
    // The library asks for the compiler by name alone, which finds it where it is open.
    cuda::open_library("libnvrtc", {version});
    cudnn_frontend::cudnn_dlhandle = cuda::open_library("libcudnn", {9});
    if (cudnn_frontend::cudnn_dlhandle == nullptr) return nullptr;
    auto made = std::make_unique<Cudnn>();  // as long as the process
    try {
      if (cudnn_frontend::detail::create_handle(&made->handle_) == CUDNN_STATUS_SUCCESS) return made.release();
      tell("it does not work with this driver or card");
    } catch (const std::runtime_error& error) {
      tell(error.what());
    }
    return nullptr;
  }

  template <typename Describe>
  CudnnPlan plan(const Describe& describe) {
    CudnnPlan made;
    auto graph = std::make_unique<graphs::Graph>();
    try {
      describe(*graph);
      auto status = graph->build(handle_, {cudnn_frontend::HeurMode_t::A});
      if (status.is_good()) status = graph->get_workspace_size(made.workspace);
      if (status.is_good()) {
        made.graph = std::move(graph);
      } else {
        tell(status.get_message());
      }
    } catch (const std::runtime_error& error) {
      tell(error.what());
    }
    return made;
  }

  static bool tell(const std::string& why) {
    notice("cuda", "attention goes through qkv's own kernels where cuDNN does not take it: " + why);
    return false;
  }

  std::mutex mutex_;
  std::map<Numbers, CudnnPlan> plans_;
  cudnnHandle_t handle_ = nullptr;
};

// The library has heads before positions.
template <typename AnyHeads>
Described describe_heads(Described x, Place place, const Attention& a, const AnyHeads& heads, bool of_keys) {
  x->set_uid(place)
      .set_dim({a.batch, of_keys ? a.kv_heads : a.heads, of_keys ? a.keys : a.queries, a.head_dim})
      .set_stride({heads.batch_stride, heads.head_stride, heads.time_stride, 1});
  return x;
}

template <typename AnyHeads>
Described input(graphs::Graph& graph, Place place, const Attention& a, const AnyHeads& heads, bool of_keys) {
  const Described x = graph.tensor(graphs::Tensor_attributes());
  return describe_heads(x, place, a, heads, of_keys);
}

// The logarithms of sums, dense in [batch, heads, queries].
void describe_sums(const Described& x, const Attention& a) {
  x->set_uid(place_stats)
      .set_data_type(cudnn_frontend::DataType_t::FLOAT)
      .set_dim({a.batch, a.heads, a.queries, 1})
      .set_stride({a.heads * a.queries, a.queries, 1, 1});
}

void choose_types(graphs::Graph& graph, const Attention& a) {
  using Type = cudnn_frontend::DataType_t;
  graph.set_io_data_type(a.type == DType::bf16 ? Type::BFLOAT16 : Type::HALF)
      .set_intermediate_data_type(Type::FLOAT)
      .set_compute_data_type(Type::FLOAT);
}

template <typename Options>
Options& choose(Options& options, const Attention& a) {
  options.set_attn_scale(a.scale);
  if (a.causal)
    options.set_diagonal_alignment(cudnn_frontend::DiagonalAlignment_t::TOP_LEFT).set_diagonal_band_right_bound(0);
  return options;
}

void describe_forward(graphs::Graph& graph, const Attention& a) {
  choose_types(graph, a);
  graphs::SDPA_attributes options;
  choose(options, a).set_name("attention").set_generate_stats(true);
  const auto [out, sums] = graph.sdpa(input(graph, place_q, a, a.q, false), input(graph, place_k, a, a.k, true),
                                      input(graph, place_v, a, a.v, true), options);
  describe_heads(out, place_out, a, a.out, false)->set_output(true);
  sums->set_output(true);
  describe_sums(sums, a);
}

void describe_backward(graphs::Graph& graph, const AttentionBackward& call) {
  const Attention& a = call.forward;
  choose_types(graph, a);
  graphs::SDPA_backward_attributes options;
  choose(options, a).set_name("attention_backward").set_deterministic_algorithm(true);
  const Described sums = graph.tensor(graphs::Tensor_attributes());
  describe_sums(sums, a);
  const auto [dq, dk, dv] = graph.sdpa_backward(
      input(graph, place_q, a, a.q, false), input(graph, place_k, a, a.k, true), input(graph, place_v, a, a.v, true),
      input(graph, place_out, a, a.out, false), input(graph, place_dout, a, call.dout, false), sums, options);
  describe_heads(dq, place_dq, a, call.dq, false)->set_output(true);
  describe_heads(dk, place_dk, a, call.dk, true)->set_output(true);
  describe_heads(dv, place_dv, a, call.dv, true)->set_output(true);
}

template <typename AnyHeads>
void add_strides(Numbers& key, const AnyHeads& heads) {
  for (const int64_t stride : {heads.batch_stride, heads.time_stride, heads.head_stride}) key.push_back(stride);
}

Numbers key_of(const Attention& a) {
  Numbers key = {a.batch, a.queries, a.keys, a.heads, a.kv_heads, a.head_dim};
  for (const int64_t choice : {int64_t{a.type == DType::bf16}, int64_t{a.causal}, int64_t{std::bit_cast<int>(a.scale)}})
    key.push_back(choice);
  for (const ConstHeads& heads : {a.q, a.k, a.v}) add_strides(key, heads);
  add_strides(key, a.out);
  return key;
}

Pointers pointers_of(const Attention& a) {
  return {{place_q, const_cast<void*>(a.q.data)},
          {place_k, const_cast<void*>(a.k.data)},
          {place_v, const_cast<void*>(a.v.data)},
          {place_out, a.out.data},
          {place_stats, a.logsumexp}};
}

}  // namespace

bool attention_by_cudnn(const Attention& a) {
  if (!suits_cudnn(a)) return false;
  Cudnn* const cudnn = Cudnn::instance();
  return cudnn != nullptr && cudnn->run(
                                 key_of(a), [&](graphs::Graph& graph) { describe_forward(graph, a); }, pointers_of(a));
}

bool attention_backward_by_cudnn(const AttentionBackward& call) {
  if (!suits_cudnn(call)) return false;
  Cudnn* const cudnn = Cudnn::instance();
  if (cudnn == nullptr) return false;
  Numbers key = key_of(call.forward);  // longer than a forward pass's
  add_strides(key, call.dout);
  for (const Heads& heads : {call.dq, call.dk, call.dv}) add_strides(key, heads);
  Pointers pointers = pointers_of(call.forward);
  pointers[place_dout] = const_cast<void*>(call.dout.data);
  pointers[place_dq] = call.dq.data;
  pointers[place_dk] = call.dk.data;
  pointers[place_dv] = call.dv.data;
  return cudnn->run(
      key, [&](graphs::Graph& graph) { describe_backward(graph, call); }, std::move(pointers));
}

}  // namespace qkv::kernels
