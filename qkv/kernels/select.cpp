#include "qkv/core/error.h"
#include "qkv/kernels/kernels.h"

#include <cstdlib>
#include <string>

namespace qkv::kernels {
namespace {

const KernelSet& chosen_for_cpu() {
  const char* wish = std::getenv("QKV_KERNELS");
  const std::string name = wish == nullptr ? "" : wish;
  if (name.empty() || name == "cpu") return cpu();
  if (name == "reference") return reference();
  throw Error("QKV_KERNELS", fmt::format("no kernel set is called '{}'", name), "cpu or reference");
}

}  // namespace

const KernelSet& kernels_for(Device device) {
#if defined(QKV_CUDA)
  if (device.type == Device::Type::cuda) return cuda();
#endif
  if (device.type != Device::Type::cpu) throw Error("device", "this build has no CUDA support", "use --device cpu");
  static const KernelSet& set = chosen_for_cpu();
  return set;
}

}  // namespace qkv::kernels
