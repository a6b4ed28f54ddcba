// A tensor: typed memory with a shape and strides. A cheap handle; copies share the memory. No arithmetic here.
#pragma once

#include "qkv/tensor/dtype.h"
#include "qkv/tensor/shape.h"
#include "qkv/tensor/storage.h"

#include <memory>
#include <span>
#include <vector>

namespace qkv {

struct GradMeta;  // what the tape knows of a tensor (ops/autograd.h)

class Tensor {
 public:
  Tensor() = default;  // undefined: no memory, converts to false

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});  // contents arbitrary
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
  static Tensor wrap(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, DType dtype);
  // With strides, in elements; the caller has checked that they stay within the storage.
  static Tensor wrap(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, const Shape& strides,
                     DType dtype);
  // A weight in a layout of the device's kernels: it has a shape, but its memory is not rows of elements. Only
  // linear() takes it; views of it throw Error.
  static Tensor wrap_packed(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, DType dtype);
  template <typename T>  // float, int64_t, int32_t or uint8_t
  static Tensor from(const Shape& shape, const std::vector<T>& values, Device device = {});

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }  // in elements
  int rank() const { return shape_.rank(); }
  int64_t size(int dim) const { return shape_[dim]; }  // negative counts from the end
  int64_t stride(int dim) const { return strides_[dim]; }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_->device(); }
  bool contiguous() const;
  bool packed() const { return packed_; }
  // A weight in blocks whose products in linear() are those of the packed weight: see ops/packed.h.
  bool rounds_inputs() const { return rounds_inputs_; }
  Tensor rounding_inputs() const;

  // Views on the same memory; they know nothing of gradients (ops:: has differentiable forms).
  Tensor view(const Shape& shape) const;  // contiguous tensors only
  Tensor narrow(int dim, int64_t begin, int64_t length) const;
  Tensor transpose(int a, int b) const;
  Tensor detach() const;  // the same memory without its tape

  // The same values on a device, without their tape: itself where it lies there, else a copy with the same strides.
  Tensor to(Device device) const;
  // The same, but the copy is kept with the memory it came from and handed out again. For what the host makes and reads
  // too, and never changes: ids, positions, masks, tables of constants. So a batch's positions go over once, not once a
  // layer.
  Tensor on(Device device) const;
  // For what is changed none the less, where the same copy must be read again (Replay): writes the values that the
  // whole memory holds now into the copy that on() made.
  void renew() const { storage_->renew_mirror(); }
  // Overwrites the values with another's, of the same shape and dtype, wherever both lie; both are contiguous.
  void assign(const Tensor& from) const;

  // Direct access, for kernels, files and tests. On a CUDA device an address that only kernels may follow.
  void* raw() const { return static_cast<char*>(storage_->data()) + byte_offset_; }
  template <typename T>
  T* data() const {
    return static_cast<T*>(raw());
  }
  template <typename T>
  std::vector<T> to_vector() const;  // a copy in row-major order, converted from any dtype, from any device
  template <typename T = float>
  T item() const;  // the value of a one-element tensor, from any device

  const std::shared_ptr<Storage>& storage() const { return storage_; }
  // Of a dense tensor on a file's pages: Storage::forget().
  void forget() const;
  bool shares_memory(const Tensor& other) const { return storage_ == other.storage_; }
  long storage_uses() const { return storage_.use_count(); }

  const std::shared_ptr<GradMeta>& grad_meta() const { return grad_meta_; }
  void set_grad_meta(std::shared_ptr<GradMeta> meta) { grad_meta_ = std::move(meta); }

 private:
  int64_t reach() const;  // elements from the first to the last in memory

  std::shared_ptr<Storage> storage_;
  size_t byte_offset_ = 0;
  Shape shape_;
  Shape strides_;
  DType dtype_ = DType::f32;
  bool packed_ = false;
  bool rounds_inputs_ = false;
  std::shared_ptr<GradMeta> grad_meta_;
};

}  // namespace qkv
