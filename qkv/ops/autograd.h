// Reverse-mode differentiation: operations record a backward closure as they run, backward() plays them in
// reverse. Parameters' gradients accumulate in place; everything else is released as soon as it has been used.
#pragma once

#include "qkv/tensor/tensor.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace qkv {

// One recorded operation. `grads` has a slot for each of its outputs; an undefined one was not reached.
struct Node {
  using Backward = std::function<void(std::span<const Tensor> grads)>;

  uint64_t order = 0;
  std::vector<std::shared_ptr<Node>> parents;
  std::vector<Tensor> grads;
  Backward backward;
  // Where the gradient of output i should be written, for operations whose outputs are views of one buffer; may be
  // empty.
  std::function<Tensor(size_t i)> allocate;
};

// What the tape knows of a tensor: a parameter has `requires_grad`, a recorded result has `node`.
struct GradMeta {
  bool requires_grad = false;
  Tensor grad;                 // of a parameter; f32
  Tensor half;                 // of a parameter: its 16-bit copy, see half_of()
  std::shared_ptr<Node> node;  // of a result
  size_t index = 0;            // which of the node's outputs
};

// While one lives, recording on this thread is on or off.
class GradMode {
 public:
  explicit GradMode(bool record);
  ~GradMode();
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};

bool grad_enabled();

// Makes a tensor a parameter: results computed from it are recorded, and its gradient is kept.
void require_grad(Tensor& parameter);
bool is_parameter(const Tensor& tensor);

// The gradient of a parameter, undefined before the first backward().
Tensor gradient(const Tensor& parameter);
void set_gradient(const Tensor& parameter, Tensor gradient);
void clear_gradient(const Tensor& parameter);

// The copy of an f32 parameter in `type`, bf16 or f16, made once and kept until refreshed; a parameter of that type, or
// in blocks, itself. Optimizers write the copy, in bf16, as they step; whoever else changes a parameter's values calls
// forget_half().
Tensor half_of(const Tensor& parameter, DType type);
// Has half_of() keep a copy of a tensor that is no parameter, and whose values do not change.
void keep_half(Tensor& tensor);
bool keeps_half(const Tensor& tensor);      // as those do, and parameters
Tensor kept_half(const Tensor& parameter);  // undefined where there is none
void forget_half(const Tensor& parameter);

// True when recording is on and the gradient of this tensor will be asked for. Undefined tensors: false.
bool wants_grad(const Tensor& tensor);
bool wants_grad(std::initializer_list<const Tensor*> tensors);

// Records `backward` as the producer of `outputs`, which it must not hold with their tape (use detach()).
std::shared_ptr<Node> record(std::initializer_list<Tensor*> outputs, std::initializer_list<const Tensor*> inputs,
                             Node::Backward backward);

// In a backward closure: the value of an f32 scalar's gradient. Where backward() began with that scalar it is known to
// be 1; else the device is asked, which waits for all work before.
float scalar_gradient(const Tensor& grad);

// In a backward closure: where a kernel may write the gradient of `input` directly. `accumulate` says whether it must
// add to what is there. Parameters get f32; other tensors their own dtype. Call only if wants_grad held.
struct GradSlot {
  Tensor buffer;
  bool accumulate = false;
};
GradSlot grad_slot(const Tensor& input);
// The same for any tensor: where no gradient is wanted, memory of its own that nobody reads, for kernels that write all
// their gradients at once.
GradSlot slot_or_spare(const Tensor& input);

// In a backward closure: adds `grad` to the gradient of `input`, taking it over when it is the first. Does nothing for
// tensors that want none.
void accumulate_grad(const Tensor& input, Tensor grad);

// Runs the tape from `result` (one element, unless `grad` is given), with d result = grad or 1.
void backward(const Tensor& result, Tensor grad = {});

// Activation checkpointing (Chen et al. 2016): runs `block` without recording; in the backward pass runs it again
// with recording. `block` must compute the same twice (its random numbers are counter-based), return one tensor, and
// use of recorded results only its inputs, some of which may be undefined.
Tensor checkpoint(const std::function<Tensor(std::span<const Tensor>)>& block, const std::vector<Tensor>& inputs);

}  // namespace qkv
