#include "qkv/io/tensor_file.h"

#include "qkv/core/error.h"
#include "qkv/ops/shape.h"

namespace qkv {

std::vector<LazyTensor> lazily(const std::vector<NamedTensor>& tensors) {
  std::vector<LazyTensor> lazy;
  for (const NamedTensor& tensor : tensors) {
    if (!tensor.value) throw Error(tensor.name, "cannot be written: it has no value", "", Error::Kind::internal);
    lazy.push_back({tensor.name, tensor.value.dtype(), tensor.value.shape(), [value = tensor.value] { return value; }});
  }
  return lazy;
}

Tensor dense_value(const LazyTensor& tensor) {
  const Tensor value = tensor.value();
  if (!value || value.dtype() != tensor.dtype || !(value.shape() == tensor.shape))
    throw Error(tensor.name, "is not what was announced to the writer", "", Error::Kind::internal);
  return contiguous(value.detach()).to({});
}

std::string tensor_place(const std::string& where, std::string_view name) {
  return fmt::format("{}: {}{}", where, name.substr(0, 200), name.size() > 200 ? "..." : "");
}

void refuse_lfs_pointer(std::string_view bytes, const std::string& where) {
  if (bytes.starts_with("version https://git-lfs"))
    throw Error(where, "is a Git LFS pointer, not the weights", "run `git lfs pull` in its repository");
}

void throw_no_tensor(const std::string& where, const std::string& name, const std::vector<std::string>& names) {
  const std::string near = nearest(name, names);
  throw Error(where, fmt::format("has no tensor '{}'", name),
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace qkv
