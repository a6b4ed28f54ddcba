#include "qkv/io/torch_pickle.h"

#include "qkv/core/byte_reader.h"

#include <algorithm>
#include <vector>

namespace qkv {
namespace {

using Value = Pickle::Value;
using Kind = Value::Kind;

StoredType type_of(const Value& global, const std::string& where) {
  constexpr std::array<std::pair<std::string_view, StoredType>, 10> types = {{
      {"torch.DoubleStorage", StoredType::f64},
      {"torch.FloatStorage", StoredType::f32},
      {"torch.HalfStorage", StoredType::f16},
      {"torch.BFloat16Storage", StoredType::bf16},
      {"torch.LongStorage", StoredType::i64},
      {"torch.IntStorage", StoredType::i32},
      {"torch.ShortStorage", StoredType::i16},
      {"torch.CharStorage", StoredType::i8},
      {"torch.ByteStorage", StoredType::u8},
      {"torch.BoolStorage", StoredType::boolean},
  }};
  for (const auto& [name, type] : types)
    if (global.is_global(name)) return type;
  throw Error(where, "a storage has no element type", damaged_hint);
}

uint64_t count_of(const Value& value, const std::string& place, const char* what) {
  if (!value.is(Kind::integer) || value.integer < 0)
    throw Error(place, fmt::format("has no {} but something else in its place", what), damaged_hint);
  return static_cast<uint64_t>(value.integer);
}

// A tuple of sizes, plain or as a torch.Size.
Shape shape_of(const Value& value, const std::string& place, const char* what) {
  const Value* sizes = &value;
  if (value.is_call("torch.Size") && value.items[1]->items.size() == 1) sizes = value.items[1]->items[0];
  if (!sizes->is(Kind::tuple) && !sizes->is(Kind::list))
    throw Error(place, fmt::format("has no {}", what), damaged_hint);
  if (sizes->items.size() > Shape::max_rank)
    throw Error(place,
                fmt::format("has {} dimensions; at most {} are supported", sizes->items.size(), Shape::max_rank));
  std::vector<int64_t> numbers;
  for (const Value* size : sizes->items) numbers.push_back(static_cast<int64_t>(count_of(*size, place, what)));
  return Shape(numbers);
}

}  // namespace

StorageId storage_id(const Value& value, const std::string& where) {
  if (!value.is(Kind::persistent) || !value.items[0]->is(Kind::tuple) || value.items[0]->items.size() < 5 ||
      value.items[0]->items[0]->text != "storage")
    throw Error(where, "a tensor refers to something that is not a storage", damaged_hint);
  const std::vector<Value*>& id = value.items[0]->items;
  if (!id[2]->is(Kind::text)) throw Error(where, "a storage has no key", damaged_hint);
  StorageId storage{type_of(*id[1], where), id[2]->text, 0, count_of(*id[4], where, "storage size")};
  if (id.size() > 5 && !id[5]->is(Kind::none)) {
    const std::vector<Value*>& part = id[5]->items;
    if (!id[5]->is(Kind::tuple) || part.size() != 3) throw Error(where, "a part of a storage is damaged", damaged_hint);
    storage.begin = count_of(*part[1], where, "begin of a part of a storage");
    storage.count = count_of(*part[2], where, "size of a part of a storage");
  }
  return storage;
}

const Value* tensor_arguments(const Value& value) {
  const Value* call = &value;
  if (call->is_call("torch._utils._rebuild_parameter") && !call->items[1]->items.empty())
    call = call->items[1]->items[0];
  const bool tensor = call->is_call("torch._utils._rebuild_tensor_v2") || call->is_call("torch._utils._rebuild_tensor");
  return tensor ? call->items[1] : nullptr;
}

TensorView tensor_view(const Value& arguments, const std::string& place) {
  const std::vector<Value*>& given = arguments.items;
  if (given.size() < 4) throw Error(place, fmt::format("is described by {} values", given.size()), damaged_hint);
  TensorView view{.storage = storage_id(*given[0], place), .offset = count_of(*given[1], place, "offset")};
  view.shape = shape_of(*given[2], place, "shape");
  view.strides = shape_of(*given[3], place, "strides");
  if (view.shape.rank() != view.strides.rank())
    throw Error(place, fmt::format("has shape {} but strides {}", to_string(view.shape), to_string(view.strides)),
                damaged_hint);

  bool overflow = false;
  const bool empty = std::find(view.shape.begin(), view.shape.end(), 0) != view.shape.end();
  int64_t last = 0, elements = 1;  // empty dimensions are left out of the product, so that nothing overflows later
  for (int i = 0; i < view.shape.rank(); ++i) {
    int64_t step = 0;
    if (view.shape[i] == 0) continue;
    overflow = overflow || __builtin_mul_overflow(view.shape[i] - 1, view.strides[i], &step) ||
               __builtin_add_overflow(last, step, &last) || __builtin_mul_overflow(elements, view.shape[i], &elements);
  }
  const uint64_t count = view.storage.count;
  const auto reach = static_cast<uint64_t>(last) + 1;
  if (overflow || view.offset > count || (!empty && reach > count - view.offset))
    throw Error(place,
                fmt::format("shape {} with strides {} from element {} reaches outside its storage of {}",
                            to_string(view.shape), to_string(view.strides), view.offset, count),
                damaged_hint);
  if (!empty && static_cast<uint64_t>(elements) > count)
    throw Error(place, fmt::format("repeats elements: {} of a storage of {}", to_string(view.shape), count),
                "save it again with .contiguous()");
  view.reach = empty ? 0 : reach;
  return view;
}

const Value& dictionary_of_tensors(const Value& root, const std::string& where) {
  const auto holds_tensors = [](const Value& dictionary) {
    for (size_t i = 1; i < dictionary.items.size(); i += 2)
      if (tensor_arguments(*dictionary.items[i]) != nullptr) return true;
    return false;
  };
  const Value* tensors = &root;
  for (const char* key : {"state_dict", "model"})
    if (const Value* inner = root.find(key); inner != nullptr && inner->is(Kind::dict) && !holds_tensors(root))
      tensors = inner;
  if (!tensors->is(Kind::dict))
    throw Error(where, "is not a dictionary of tensors", "save the model's state_dict() with torch.save");
  for (size_t i = 0; i + 1 < tensors->items.size(); i += 2)
    if (!tensors->items[i]->is(Kind::text)) throw Error(where, "a tensor's name is not text", damaged_hint);
  return *tensors;
}

}  // namespace qkv
