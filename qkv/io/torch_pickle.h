// The few things that a pickle of PyTorch weights describes: tensors as views on storages.
#pragma once

#include "qkv/core/pickle.h"
#include "qkv/io/stored_type.h"
#include "qkv/tensor/shape.h"

#include <array>
#include <string>
#include <string_view>

namespace qkv {

// All that such a pickle may name.
inline constexpr std::array<std::string_view, 15> torch_globals = {"collections.OrderedDict",
                                                                   "torch._utils._rebuild_tensor_v2",
                                                                   "torch._utils._rebuild_tensor",
                                                                   "torch._utils._rebuild_parameter",
                                                                   "torch.Size",
                                                                   "torch.DoubleStorage",
                                                                   "torch.FloatStorage",
                                                                   "torch.HalfStorage",
                                                                   "torch.BFloat16Storage",
                                                                   "torch.LongStorage",
                                                                   "torch.IntStorage",
                                                                   "torch.ShortStorage",
                                                                   "torch.CharStorage",
                                                                   "torch.ByteStorage",
                                                                   "torch.BoolStorage"};

// A persistent id: ("storage", type, key, device, count) or, in old files, with a part of it: (key, begin, count).
struct StorageId {
  StoredType type = StoredType::f32;
  std::string_view key;
  uint64_t begin = 0, count = 0;  // elements
};
StorageId storage_id(const Pickle::Value& value, const std::string& where);

// A checked view: every element lies within the storage's count, and no element is repeated by a stride of zero.
struct TensorView {
  StorageId storage;
  uint64_t offset = 0;  // elements from the storage's begin
  uint64_t reach = 0;   // elements from the first to the last, both counted
  Shape shape, strides;
};

// The arguments of the call that rebuilds a tensor, or null for a value that is none.
const Pickle::Value* tensor_arguments(const Pickle::Value& value);
TensorView tensor_view(const Pickle::Value& arguments, const std::string& place);

// The dictionary whose values are tensors: the root, or what stands in it under "state_dict" or "model". Its keys are
// text.
const Pickle::Value& dictionary_of_tensors(const Pickle::Value& root, const std::string& where);

}  // namespace qkv
