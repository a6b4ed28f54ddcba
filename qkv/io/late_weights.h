// Weights on their way into a model: read at once, or, where they are packed, when their turn comes.
#pragma once

#include "qkv/io/hugging_face.h"

#include <utility>

namespace qkv {

class LateWeights {
 public:
  explicit LateWeights(const LoadOptions& options) : packing_(packing_of(options)) {}

  // `dtype`: what read() will give. What read() refers to must live until pack() has returned.
  void load(const std::string& name, Tensor& value, Role role, DType dtype, std::function<Tensor()> read) {
    if (packing_ != nullptr && Model::packs(name, value, role, dtype, *packing_)) {
      late_[name] = {dtype, std::move(read)};
      value = without_numbers(value);
    } else {
      value = read();
    }
  }

  // Reads and packs what is left. What was read so far gives the pages of the file back first.
  template <typename File>
  void pack(Model& model, const File& file) {
    if (packing_ == nullptr) return;
    for (const std::string& name : file.names()) file.get(name).forget();
    model.pack(*packing_, late_);
  }

 private:
  const PackOptions* packing_;  // null: nothing is packed
  LateParameters late_;
};

}  // namespace qkv
