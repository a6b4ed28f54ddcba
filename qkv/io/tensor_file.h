// What every file of tensors can do, whatever its format.
#pragma once

#include "qkv/core/byte_reader.h"
#include "qkv/tensor/tensor.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class TensorFile {
 public:
  virtual ~TensorFile() = default;

  virtual std::vector<std::string> names() const = 0;
  virtual bool contains(const std::string& name) const = 0;
  // These throw Error for a name that is not there.
  virtual const Shape& shape(const std::string& name) const = 0;
  virtual DType dtype(const std::string& name) const = 0;
  // The tensor, on the file's own pages where they are aligned for its dtype, else a copy. Must not be written.
  virtual Tensor get(const std::string& name) const = 0;
};

struct NamedTensor {
  std::string name;
  Tensor value;
};

// A tensor to be written, made when its turn comes, so that a writer holds one at a time.
struct LazyTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::function<Tensor()> value;  // of that dtype and shape
};

// How far a writer has come: called after each tensor with the bytes written of it.
using WriteProgress = std::function<void(uint64_t bytes)>;

inline uint64_t bytes_of(const LazyTensor& tensor) {
  return static_cast<uint64_t>(bytes_of(tensor.dtype, tensor.shape.numel()));
}

std::vector<LazyTensor> lazily(const std::vector<NamedTensor>& tensors);

// The tensor of a LazyTensor, dense. Throws Error (internal) when it is not as announced.
Tensor dense_value(const LazyTensor& tensor);

// "file: tensor" for messages; an absurdly long name is cut.
std::string tensor_place(const std::string& where, std::string_view name);

// Throws Error when `bytes` are what Git LFS leaves in the place of a file it has not fetched.
void refuse_lfs_pointer(std::string_view bytes, const std::string& where);

// What a lookup of a name that is not there throws; `names` are those that are.
[[noreturn]] void throw_no_tensor(const std::string& where, const std::string& name,
                                  const std::vector<std::string>& names);

}  // namespace qkv
