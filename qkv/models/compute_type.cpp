#include "qkv/models/compute_type.h"

namespace qkv {

std::string stored_type_of(const Config& config) { return config.text("dtype", config.text("torch_dtype", "float32")); }

DType compute_type(const Config& config, Device device) {
  const std::string stored = stored_type_of(config);
  if (stored == "bfloat16") return DType::bf16;
  return stored == "float16" && device.type == Device::Type::cuda ? DType::f16 : DType::f32;
}

DType compute_type_named(const std::string& name, const Config& config) {
  return name == "auto" ? compute_type(config) : dtype_named(name);
}

}  // namespace qkv
