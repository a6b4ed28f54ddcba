// Models from and to Hugging Face directories: config.json and safetensors, read in place.
#pragma once

#include "qkv/core/files.h"
#include "qkv/io/tensor_file.h"
#include "qkv/models/config.h"
#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/tensor/device.h"

#include <memory>
#include <optional>

namespace qkv {

// A model with what its directory says of it.
struct LoadedModel {
  Config config;
  std::unique_ptr<Model> model;
  std::vector<std::string> fresh;  // our names of parameters that the checkpoint does not hold (with new_head only)
};

struct LoadOptions {
  bool in_place = false;             // parameters may stay on the file's pages: for inference, they must not be written
  DType matrices = DType::f32;       // and embeddings: bf16 and f16 are half the size; f16 is for GPUs
  std::optional<PackOptions> pack;   // for inference: Model::pack(); on a GPU in place, blocks alone
  Device device = default_device();  // where the parameters go
  bool new_head = false;             // a missing head is initialised, tensors left over are ignored: for fine-tuning
  RandomKey key;                     // for a new head
  // As transformers' "eager" attention computes where it differs from its default form, and routers without jitter: to
  // compare with what it recorded.
  bool eager = false;
};

// What is packed as it is loaded; null: nothing.
inline const PackOptions* packing_of(const LoadOptions& options) {
  return options.pack && options.device == Device() ? &*options.pack : nullptr;
}
constexpr int64_t small_parameter = 1 << 18;  // bytes
// Whether a parameter of so many bytes stays on the file's pages. Where others are packed, small ones are copied: used
// all the time, each would keep what lies around it in the file in memory, for such pages come in groups.
inline bool stays_on_file(const LoadOptions& options, int64_t bytes) {
  return options.in_place && (packing_of(options) == nullptr || bytes > small_parameter);
}

// Reads config.json and the weights. Every tensor missing, left over or mis-shaped is listed in one Error, with both
// shapes. Weights are f32 in memory, whatever the file holds, or `matrices`.
// A GGUF file in the place of a directory is read as io/gguf_model.h says.
LoadedModel load_model(const fs::path& directory, const LoadOptions& options = {});

// The parameters under the checkpoint's names and in its layout; the inverse of loading. `value` picks what is written
// of each; undefined results are left out.
std::vector<NamedTensor> checkpoint_tensors(Model& model, const std::function<Tensor(const Tensor& parameter)>& value);

// The parameters' gradients likewise, of those that have one.
std::vector<NamedTensor> checkpoint_gradients(Model& model);

// Writes config.json (as given, with "dtype") and the weights into an existing directory.
void save_model(const fs::path& directory, const Config& config, Model& model);

}  // namespace qkv
