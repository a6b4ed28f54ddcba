#include "qkv/ops/shape.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/copy.h"

#include <algorithm>

namespace qkv {
namespace {

void zero(const Tensor& y) {
  const Tensor nought = Tensor::zeros({}, y.dtype(), y.device());
  Shape still = y.shape();
  for (int i = 0; i < y.rank(); ++i) still.set(i, 0);
  copy_elements(Tensor::wrap(nought.storage(), 0, y.shape(), still, y.dtype()), y);
}

Tensor dense_copy(const Tensor& x, DType dtype) {
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  copy_elements(x, y);
  return y;
}

}  // namespace

Tensor contiguous(const Tensor& x) { return x.contiguous() ? x : cast(x, x.dtype()); }

Tensor clone(const Tensor& x) { return dense_copy(x, x.dtype()); }

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype && x.contiguous()) return x;
  Tensor y = dense_copy(x, dtype);
  if (wants_grad(x))
    record({&y}, {&x}, [x](std::span<const Tensor> grads) { accumulate_grad(x, dense_copy(grads[0], x.dtype())); });
  return y;
}

Tensor transpose(const Tensor& x, int a, int b) {
  Tensor y = dense_copy(x.detach().transpose(a, b), x.dtype());
  if (wants_grad(x))
    record({&y}, {&x}, [x, a, b](std::span<const Tensor> grads) {
      accumulate_grad(x, dense_copy(grads[0].transpose(a, b), x.dtype()));
    });
  return y;
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  check(x.numel() == shape.numel(), "reshape", "{} does not hold as many elements as {}", x.shape(), shape);
  const Tensor dense = contiguous(x);
  Tensor y = dense.view(shape);
  if (wants_grad(dense))
    record({&y}, {&dense}, [dense](std::span<const Tensor> grads) {
      const Tensor dy = grads[0].contiguous() ? grads[0] : dense_copy(grads[0], grads[0].dtype());
      accumulate_grad(dense, dy.view(dense.shape()));
    });
  return y;
}

std::vector<Tensor> split(const Tensor& x, int dim, const std::vector<int64_t>& lengths) {
  if (dim < 0) dim += x.rank();
  int64_t total = 0;
  for (const int64_t length : lengths) total += length;
  check(dim >= 0 && dim < x.rank() && total == x.size(dim), "split",
        "lengths add up to {}, dimension {} of {} does not", total, dim, x.shape());
  check(lengths.size() <= 3, "split", "at most three parts, got {}", lengths.size());
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    parts.push_back(x.narrow(dim, begin, length));
    begin += length;
  }
  if (!wants_grad(x)) return parts;

  // The parts' gradients are views of one buffer, made when the first of them is asked for.
  const auto buffer = std::make_shared<Tensor>();
  const auto part_of = [buffer, dim, lengths, shape = x.shape(), dtype = x.dtype(), device = x.device()](size_t i) {
    if (!*buffer) *buffer = Tensor::empty(shape, dtype, device);
    int64_t offset = 0;
    for (size_t j = 0; j < i; ++j) offset += lengths[j];
    return buffer->narrow(dim, offset, lengths[i]);
  };
  const auto backward = [x, buffer, part_of](std::span<const Tensor> grads) {
    for (size_t i = 0; i < grads.size(); ++i) {
      const Tensor part = part_of(i);
      if (!grads[i]) zero(part);
      if (grads[i] && !grads[i].shares_memory(part)) copy_elements(grads[i], part);
    }
    accumulate_grad(x, *buffer);
    *buffer = Tensor();
  };
  std::shared_ptr<Node> node;
  if (parts.size() == 1) node = record({&parts[0]}, {&x}, backward);
  if (parts.size() == 2) node = record({&parts[0], &parts[1]}, {&x}, backward);
  if (parts.size() == 3) node = record({&parts[0], &parts[1], &parts[2]}, {&x}, backward);
  node->allocate = part_of;
  return parts;
}

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  check(!parts.empty(), "concat", "nothing to join");
  if (dim < 0) dim += parts[0].rank();
  Shape shape = parts[0].shape();
  int64_t total = 0;
  for (const Tensor& part : parts) {
    Shape expected = shape;
    expected.set(dim, part.size(dim));
    check(part.shape() == expected && part.dtype() == parts[0].dtype(), "concat",
          "{} does not fit {} along dimension {}", part.shape(), shape, dim);
    total += part.size(dim);
  }
  shape.set(dim, total);
  Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  int64_t begin = 0;
  bool wanted = false;
  for (const Tensor& part : parts) {
    copy_elements(part, y.narrow(dim, begin, part.size(dim)));
    begin += part.size(dim);
    wanted = wanted || wants_grad(part);
  }
  if (!wanted) return y;
  const auto node = record({&y}, {}, [parts, dim](std::span<const Tensor> grads) {
    int64_t offset = 0;
    for (const Tensor& part : parts) {
      accumulate_grad(part, dense_copy(grads[0].narrow(dim, offset, part.size(dim)), part.dtype()));
      offset += part.size(dim);
    }
  });
  for (const Tensor& part : parts)
    if (wants_grad(part) && part.grad_meta()->node) node->parents.push_back(part.grad_meta()->node);
  return y;
}

Tensor select(const Tensor& x, int dim, int64_t index) {
  if (dim < 0) dim += x.rank();
  const Tensor slice = x.narrow(dim, index, 1);
  std::vector<int64_t> sizes;
  for (int i = 0; i < x.rank(); ++i)
    if (i != dim) sizes.push_back(x.size(i));
  Tensor y = dense_copy(slice, x.dtype()).view(Shape(sizes));
  if (wants_grad(x))
    record({&y}, {&x}, [x, dim, index](std::span<const Tensor> grads) {
      Tensor dx = Tensor::zeros(x.shape(), x.dtype(), x.device());
      const Tensor place = dx.narrow(dim, index, 1);
      copy_elements(dense_copy(grads[0], x.dtype()).view(place.shape()), place);
      accumulate_grad(x, dx);
    });
  return y;
}

}  // namespace qkv
