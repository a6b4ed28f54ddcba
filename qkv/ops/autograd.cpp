#include "qkv/ops/autograd.h"

#include "qkv/ops/copy.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <queue>
#include <unordered_set>
#include <utility>

namespace qkv {
namespace {

thread_local bool recording = true;
std::atomic<uint64_t> next_order{1};

Tensor dense_like(const Tensor& tensor, DType dtype) { return Tensor::empty(tensor.shape(), dtype, tensor.device()); }

// The place where gradients for this tensor collect.
Tensor& collected(const Tensor& tensor) {
  GradMeta& meta = *tensor.grad_meta();
  return meta.node ? meta.node->grads[meta.index] : meta.grad;
}

void add_into(const Tensor& into, const Tensor& from) {
  kernels_of(into, from)
      .binary({.op = kernels::BinaryOp::add,
               .count = into.numel(),
               .b_count = into.numel(),
               .type = into.dtype(),
               .a = into.raw(),
               .b = from.raw(),
               .y = into.raw()});
}

Tensor converted(const Tensor& tensor, DType dtype) {
  Tensor result = dense_like(tensor, dtype);
  copy_elements(tensor, result);
  return result;
}

Tensor ones(const Shape& shape, DType dtype, Device device) {
  Tensor result = Tensor::empty(shape, dtype, device);
  kernels::kernels_for(device).fill(result.raw(), dtype, result.numel(), 1.0F);
  return result;
}

// The 1 that backward() begins with at an f32 scalar: always the same memory, so that it is known where it arrives.
// Nobody adds to it (grad_slot). Never freed: the device may be gone first.
const Tensor& root_gradient(Device device) {
  static std::mutex mutex;
  static auto* const of_devices = new std::map<std::pair<Device::Type, int>, Tensor>;
  const std::lock_guard lock(mutex);
  Tensor& root = (*of_devices)[{device.type, device.index}];
  if (!root) root = ones({}, DType::f32, device);
  return root;
}
bool is_root(const Tensor& grad) { return grad.shares_memory(root_gradient(grad.device())); }

}  // namespace

GradMode::GradMode(bool record) : before_(recording) { recording = record; }
GradMode::~GradMode() { recording = before_; }
bool grad_enabled() { return recording; }

void require_grad(Tensor& parameter) {
  auto meta = std::make_shared<GradMeta>();
  meta->requires_grad = true;
  parameter.set_grad_meta(std::move(meta));
}

bool is_parameter(const Tensor& tensor) { return tensor.grad_meta() && tensor.grad_meta()->requires_grad; }

Tensor gradient(const Tensor& parameter) { return parameter.grad_meta() ? parameter.grad_meta()->grad : Tensor(); }
void set_gradient(const Tensor& parameter, Tensor gradient) { parameter.grad_meta()->grad = std::move(gradient); }
void clear_gradient(const Tensor& parameter) { parameter.grad_meta()->grad = Tensor(); }

Tensor half_of(const Tensor& parameter, DType type) {
  if (parameter.dtype() == type || is_block(parameter.dtype())) return parameter.detach();
  if (!keeps_half(parameter)) return converted(parameter, type);
  GradMeta& meta = *parameter.grad_meta();
  if (!meta.half || meta.half.dtype() != type) meta.half = converted(parameter, type);
  return meta.half;
}
void keep_half(Tensor& tensor) { tensor.set_grad_meta(std::make_shared<GradMeta>()); }
bool keeps_half(const Tensor& tensor) { return tensor.grad_meta() && !tensor.grad_meta()->node; }
Tensor kept_half(const Tensor& parameter) { return is_parameter(parameter) ? parameter.grad_meta()->half : Tensor(); }
void forget_half(const Tensor& parameter) {
  if (parameter.grad_meta()) parameter.grad_meta()->half = Tensor();
}

bool wants_grad(const Tensor& tensor) {
  if (!recording || !tensor || !tensor.grad_meta()) return false;
  return tensor.grad_meta()->requires_grad || tensor.grad_meta()->node != nullptr;
}

bool wants_grad(std::initializer_list<const Tensor*> tensors) {
  for (const Tensor* tensor : tensors)
    if (wants_grad(*tensor)) return true;
  return false;
}

std::shared_ptr<Node> record(std::initializer_list<Tensor*> outputs, std::initializer_list<const Tensor*> inputs,
                             Node::Backward backward) {
  auto node = std::make_shared<Node>();
  node->order = next_order++;
  node->backward = std::move(backward);
  node->grads.resize(outputs.size());
  for (const Tensor* input : inputs)
    if (wants_grad(*input) && input->grad_meta()->node) node->parents.push_back(input->grad_meta()->node);
  size_t index = 0;
  for (Tensor* output : outputs) {
    auto meta = std::make_shared<GradMeta>();
    meta->node = node;
    meta->index = index++;
    output->set_grad_meta(std::move(meta));
  }
  return node;
}

float scalar_gradient(const Tensor& grad) { return is_root(grad) ? 1.0F : grad.item(); }

GradSlot grad_slot(const Tensor& input) {
  Tensor& grad = collected(input);
  if (grad) {
    // Somebody else may hold the same memory (an addition hands one gradient to both its inputs).
    const GradMeta& owner = *input.grad_meta();
    const bool view_by_design = owner.node && owner.node->allocate;
    if (grad.storage_uses() > 1 && (!view_by_design || is_root(grad))) grad = converted(grad, grad.dtype());
    return {grad, true};
  }
  const GradMeta& meta = *input.grad_meta();
  if (meta.node && meta.node->allocate) {
    grad = meta.node->allocate(meta.index);
  } else {
    grad = dense_like(input, meta.node ? input.dtype() : DType::f32);
  }
  return {grad, false};
}

GradSlot slot_or_spare(const Tensor& input) {
  const auto& meta = input.grad_meta();
  const bool wanted = meta && (meta->requires_grad || meta->node);
  return wanted ? grad_slot(input) : GradSlot{Tensor::empty(input.shape(), DType::f32, input.device())};
}

void accumulate_grad(const Tensor& input, Tensor grad) {
  if (!input || !input.grad_meta() || (!input.grad_meta()->requires_grad && !input.grad_meta()->node)) return;
  const DType wanted = is_parameter(input) ? DType::f32 : input.dtype();
  if (grad.dtype() != wanted || !grad.contiguous()) grad = converted(grad, wanted);
  Tensor& collected_grad = collected(input);
  if (!collected_grad) {
    collected_grad = grad.detach();
    return;
  }
  const GradSlot slot = grad_slot(input);
  if (slot.buffer.contiguous()) {
    add_into(slot.buffer, grad);
  } else {
    Tensor sum = converted(slot.buffer, wanted);
    add_into(sum, grad);
    collected(input) = sum;
  }
}

void backward(const Tensor& result, Tensor grad) {
  if (!result.grad_meta() || !result.grad_meta()->node)
    throw Error("backward", "the result was not recorded: no parameter led to it", "", Error::Kind::internal);
  if (!grad) {
    const bool root = result.rank() == 0 && result.dtype() == DType::f32;
    grad = root ? root_gradient(result.device()) : ones(result.shape(), result.dtype(), result.device());
  }
  const NoGrad no_grad;
  const auto later = [](const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) { return a->order < b->order; };
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, decltype(later)> queue(later);
  std::unordered_set<const Node*> seen;
  result.grad_meta()->node->grads[result.grad_meta()->index] = std::move(grad);
  queue.push(result.grad_meta()->node);
  seen.insert(queue.top().get());
  while (!queue.empty()) {
    const std::shared_ptr<Node> node = queue.top();
    queue.pop();
    const bool reached = std::any_of(node->grads.begin(), node->grads.end(), [](const Tensor& g) { return bool(g); });
    if (reached && node->backward) node->backward(node->grads);
    for (std::shared_ptr<Node>& parent : node->parents)
      if (seen.insert(parent.get()).second) queue.push(std::move(parent));
    // A tape is played once; releasing as we go keeps the peak at one block's intermediates.
    node->backward = nullptr;
    node->allocate = nullptr;
    node->grads.assign(node->grads.size(), Tensor());
    node->parents.clear();
  }
}

Tensor checkpoint(const std::function<Tensor(std::span<const Tensor>)>& block, const std::vector<Tensor>& inputs) {
  if (!grad_enabled()) return block(inputs);
  std::vector<Tensor> detached;
  for (const Tensor& input : inputs) detached.push_back(input ? input.detach() : input);
  Tensor output;
  {
    const NoGrad no_grad;
    output = block(detached).detach();
  }
  // Whatever the block's parameters are, its output is recorded.
  const std::shared_ptr<Node> node = record({&output}, {}, [block, inputs](std::span<const Tensor> grads) {
    const GradMode record_again(true);
    // Stand-ins for the inputs hand over the gradients that reach them.
    std::vector<Tensor> sources;
    for (const Tensor& input : inputs) {
      Tensor source = input ? input.detach() : input;
      if (wants_grad(input))
        record({&source}, {}, [&input](std::span<const Tensor> reached) { accumulate_grad(input, reached[0]); });
      sources.push_back(std::move(source));
    }
    backward(block(sources), grads[0]);
  });
  for (const Tensor& input : inputs)
    if (wants_grad(input) && input.grad_meta()->node != nullptr) node->parents.push_back(input.grad_meta()->node);
  return output;
}

}  // namespace qkv
