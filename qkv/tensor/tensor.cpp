#include "qkv/tensor/tensor.h"

#include "qkv/core/error.h"
#include "qkv/cuda/recorded_memory.h"

#include <cstring>

namespace qkv {
namespace {

Shape row_major_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides.set(i, step);
    step *= shape[i];
  }
  return strides;
}

template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, int64_t>) return DType::i64;
  if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  if constexpr (std::is_same_v<T, uint8_t>) return DType::u8;
}

template <typename T>
T read_element(const void* base, DType dtype, int64_t index) {
  switch (dtype) {
    case DType::f32:
      return static_cast<T>(static_cast<const float*>(base)[index]);
    case DType::bf16:
      return static_cast<T>(static_cast<float>(static_cast<const bf16*>(base)[index]));
    case DType::f16:
      return static_cast<T>(static_cast<float>(static_cast<const f16*>(base)[index]));
    case DType::i64:
      return static_cast<T>(static_cast<const int64_t*>(base)[index]);
    case DType::i32:
      return static_cast<T>(static_cast<const int32_t*>(base)[index]);
    case DType::u8:
    case DType::boolean:
      return static_cast<T>(static_cast<const uint8_t*>(base)[index]);
    default:
      throw Error("tensor", fmt::format("the elements of {} are in blocks", name_of(dtype)), "", Error::Kind::internal);
  }
}

// Blocks lie along the last dimension.
void check_blocks(const Shape& shape, DType dtype) {
  if (is_block(dtype) && (shape.rank() == 0 || shape[-1] % block_length(dtype) != 0))
    throw Error("tensor", fmt::format("rows of {} cannot be cut into {} blocks of {}", to_string(shape), name_of(dtype),
                                      block_length(dtype)));
}

void refuse_packed(std::string_view what, const Tensor& tensor) {
  if (tensor.packed()) throw Error(what, "a packed weight has no elements to look at", "", Error::Kind::internal);
}

// While work is recorded, no copy goes between host and device: which one it was is said.
template <typename Copy>
void named_where_refused(const Tensor& x, Copy&& copy) {
  try {
    copy();
  } catch (cuda::NotRecordable& refusal) {
    refusal.what += fmt::format(" ({} {})", name_of(x.dtype()), to_string(x.shape()));
    throw;
  }
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  check_blocks(shape, dtype);
  const auto bytes = static_cast<size_t>(bytes_of(dtype, shape.numel()));
  return wrap(Storage::allocate(bytes, device), 0, shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.storage_->clear();
  return tensor;
}

Tensor Tensor::wrap(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, DType dtype) {
  return wrap(std::move(storage), byte_offset, shape, row_major_strides(shape), dtype);
}

Tensor Tensor::wrap(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, const Shape& strides,
                    DType dtype) {
  check_blocks(shape, dtype);
  Tensor tensor;
  tensor.storage_ = std::move(storage);
  tensor.byte_offset_ = byte_offset;
  tensor.shape_ = shape;
  tensor.strides_ = strides;
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::wrap_packed(std::shared_ptr<Storage> storage, size_t byte_offset, const Shape& shape, DType dtype) {
  Tensor tensor = wrap(std::move(storage), byte_offset, shape, dtype);
  tensor.packed_ = true;
  return tensor;
}

Tensor Tensor::rounding_inputs() const {
  Tensor same = detach();
  same.rounds_inputs_ = true;
  return same;
}

template <typename T>
Tensor Tensor::from(const Shape& shape, const std::vector<T>& values, Device device) {
  if (shape.numel() != static_cast<int64_t>(values.size()))
    throw Error("tensor", fmt::format("{} values for shape {}", values.size(), to_string(shape)));
  Tensor tensor = empty(shape, dtype_of<T>());
  if (!values.empty()) std::memcpy(tensor.raw(), values.data(), values.size() * sizeof(T));
  return tensor.to(device);
}
template Tensor Tensor::from(const Shape&, const std::vector<float>&, Device);
template Tensor Tensor::from(const Shape&, const std::vector<int64_t>&, Device);
template Tensor Tensor::from(const Shape&, const std::vector<int32_t>&, Device);
template Tensor Tensor::from(const Shape&, const std::vector<uint8_t>&, Device);

bool Tensor::contiguous() const {
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != step) return numel() == 0;
    step *= shape_[i];
  }
  return true;
}

Tensor Tensor::view(const Shape& shape) const {
  refuse_packed("view", *this);
  if (!contiguous()) throw Error("view", "the tensor is not contiguous", "", Error::Kind::internal);
  if (shape.numel() != numel())
    throw Error("view", fmt::format("cannot view {} as {}", to_string(shape_), to_string(shape)), "",
                Error::Kind::internal);
  check_blocks(shape, dtype_);
  Tensor result = *this;
  result.shape_ = shape;
  result.strides_ = row_major_strides(shape);
  result.grad_meta_ = nullptr;
  return result;
}

Tensor Tensor::narrow(int dim, int64_t begin, int64_t length) const {
  refuse_packed("narrow", *this);
  if (dim < 0) dim += rank();
  if (dim < 0 || dim >= rank() || begin < 0 || length < 0 || begin + length > shape_[dim])
    throw Error("narrow",
                fmt::format("[{}, {}) of dimension {} is outside {}", begin, begin + length, dim, to_string(shape_)),
                "", Error::Kind::internal);
  Tensor result = *this;
  result.shape_.set(dim, length);
  check_blocks(result.shape_, dtype_);
  result.byte_offset_ += static_cast<size_t>(bytes_of(dtype_, begin * strides_[dim]));
  result.grad_meta_ = nullptr;
  return result;
}

Tensor Tensor::transpose(int a, int b) const {
  refuse_packed("transpose", *this);
  if (is_block(dtype_))
    throw Error("transpose", fmt::format("the rows of {} are blocks", name_of(dtype_)), "", Error::Kind::internal);
  Tensor result = *this;
  result.shape_.set(a, shape_[b]);
  result.shape_.set(b, shape_[a]);
  result.strides_.set(a, strides_[b]);
  result.strides_.set(b, strides_[a]);
  result.grad_meta_ = nullptr;
  return result;
}

void Tensor::forget() const {
  if (contiguous()) storage_->forget(byte_offset_, static_cast<size_t>(bytes_of(dtype_, numel())));
}

Tensor Tensor::detach() const {
  Tensor result = *this;
  result.grad_meta_ = nullptr;
  return result;
}

int64_t Tensor::reach() const {
  if (numel() == 0) return 0;
  int64_t last = 0;
  for (int i = 0; i < rank(); ++i) last += (shape_[i] - 1) * strides_[i];
  return last + 1;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return detach();
  refuse_packed("to", *this);
  const auto bytes = static_cast<size_t>(bytes_of(dtype_, reach()));
  Tensor result = wrap(Storage::allocate(bytes, device), 0, shape_, strides_, dtype_);
  named_where_refused(*this, [&] { copy_bytes(*storage_, byte_offset_, *result.storage_, 0, bytes); });
  return result;
}

Tensor Tensor::on(Device device) const {
  if (device == this->device()) return *this;
  refuse_packed("on", *this);
  std::shared_ptr<Storage> copy;
  named_where_refused(*this, [&] { copy = storage_->mirror(device); });
  return wrap(std::move(copy), byte_offset_, shape_, strides_, dtype_);
}

void Tensor::assign(const Tensor& from) const {
  if (from.shape() != shape_ || from.dtype() != dtype_ || !from.contiguous() || !contiguous() || packed_)
    throw Error("assign",
                fmt::format("{} {} into {} {}", name_of(from.dtype()), to_string(from.shape()), name_of(dtype_),
                            to_string(shape_)),
                "", Error::Kind::internal);
  copy_bytes(*from.storage_, from.byte_offset_, *storage_, byte_offset_,
             static_cast<size_t>(bytes_of(dtype_, numel())));
}

template <typename T>
std::vector<T> Tensor::to_vector() const {
  refuse_packed("to_vector", *this);
  if (device() != Device()) return to(Device()).to_vector<T>();
  std::vector<T> values;
  const int64_t count = numel();
  values.reserve(static_cast<size_t>(count));
  std::array<int64_t, Shape::max_rank> index{};
  for (int64_t n = 0; n < count; ++n) {
    int64_t offset = 0;
    for (int i = 0; i < rank(); ++i) offset += index[static_cast<size_t>(i)] * strides_[i];
    values.push_back(read_element<T>(raw(), dtype_, offset));
    for (int i = rank() - 1; i >= 0; --i) {
      if (++index[static_cast<size_t>(i)] < shape_[i]) break;
      index[static_cast<size_t>(i)] = 0;
    }
  }
  return values;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;

template <typename T>
T Tensor::item() const {
  if (numel() != 1)
    throw Error("item", fmt::format("{} is not one value", to_string(shape_)), "", Error::Kind::internal);
  return read_element<T>(to(Device()).raw(), dtype_, 0);
}
template float Tensor::item() const;
template double Tensor::item() const;
template int64_t Tensor::item() const;

}  // namespace qkv
