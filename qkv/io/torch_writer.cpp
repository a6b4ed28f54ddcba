#include "qkv/core/error.h"
#include "qkv/io/torch_file.h"
#include "qkv/io/zip.h"

#include <limits>
#include <set>

namespace qkv {
namespace {

std::string_view storage_class(DType type) {
  switch (type) {
    case DType::f32:
      return "FloatStorage";
    case DType::bf16:
      return "BFloat16Storage";
    case DType::f16:
      return "HalfStorage";
    case DType::i64:
      return "LongStorage";
    case DType::i32:
      return "IntStorage";
    case DType::u8:
      return "ByteStorage";
    case DType::boolean:
      return "BoolStorage";
    default:
      throw Error("torch", fmt::format("the format has no {}", name_of(type)), "write GGUF, or f32, bf16 or f16");
  }
}

// Writes the opcodes of protocol 2 (Python's Lib/pickletools.py).
class Pickler {
 public:
  Pickler() { text_ = "\x80\x02"; }

  Pickler& mark() { return raw("("); }
  Pickler& tuple() { return raw("t"); }  // of what stands above the mark
  Pickler& global(std::string_view module, std::string_view name) {
    return raw("c").raw(module).raw("\n").raw(name).raw("\n");
  }
  Pickler& ordered_dict() { return global("collections", "OrderedDict").raw(")R"); }
  Pickler& boolean(bool value) { return raw(value ? "\x88" : "\x89"); }
  Pickler& text(std::string_view value) {
    raw("X");
    put(static_cast<uint32_t>(value.size()));
    return raw(value);
  }
  Pickler& integer(int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max()) {
      raw("J");
      return put(static_cast<int32_t>(value));
    }
    raw("\x8a\x08");
    return put(value);
  }
  Pickler& sizes(const Shape& shape) {
    mark();
    for (const int64_t size : shape) integer(size);
    return tuple();
  }
  Pickler& raw(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  const std::string& finished() { return raw(".").text_; }

 private:
  template <typename T>
  Pickler& put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  std::string text_;
};

Shape dense_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides.set(i, step);
    step *= std::max<int64_t>(1, shape[i]);
  }
  return strides;
}

// {name: _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks), ...}
void describe(Pickler& pickler, const LazyTensor& tensor, size_t key) {
  pickler.text(tensor.name).global("torch._utils", "_rebuild_tensor_v2").mark();
  pickler.mark().text("storage").global("torch", storage_class(tensor.dtype)).text(std::to_string(key)).text("cpu");
  pickler.integer(tensor.shape.numel()).tuple().raw("Q");
  pickler.integer(0).sizes(tensor.shape).sizes(dense_strides(tensor.shape)).boolean(false).ordered_dict();
  pickler.tuple().raw("R");
}

}  // namespace

void write_torch_file(const fs::path& path, const std::vector<LazyTensor>& tensors, const WriteProgress& progress) {
  Pickler pickler;
  pickler.ordered_dict().mark();
  std::set<std::string_view> seen;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!seen.insert(tensors[i].name).second)
      throw Error(tensor_place(path.string(), tensors[i].name), "cannot be written: the name is taken", "",
                  Error::Kind::internal);
    describe(pickler, tensors[i], i);
  }
  pickler.raw("u");

  const std::string root = path.stem().string() + "/";
  ZipWriter zip(path);
  zip.add(root + "data.pkl", pickler.finished());
  zip.add(root + "byteorder", "little");
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor dense = dense_value(tensors[i]);
    zip.add(root + "data/" + std::to_string(i), {static_cast<const char*>(dense.raw()), bytes_of(tensors[i])});
    if (progress) progress(bytes_of(tensors[i]));
  }
  zip.add(root + "version", "3\n");
  zip.commit();
}

}  // namespace qkv
