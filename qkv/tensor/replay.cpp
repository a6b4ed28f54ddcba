#include "qkv/tensor/replay.h"

#include "qkv/cuda/runtime.h"

#include <cstdlib>
#include <string_view>

namespace qkv {

Replay::Replay() = default;
Replay::~Replay() = default;

bool Replay::record(Device device, const std::function<void()>& work) {
  graph_.reset();
  const char* wish = std::getenv("QKV_CUDA_GRAPHS");
  if (device.type != Device::Type::cuda || (wish != nullptr && std::string_view(wish) == "0")) return false;
  graph_ = std::make_unique<cuda::Graph>();
  if (!graph_->record(work)) graph_.reset();
  return graph_ != nullptr;
}

void Replay::play() { graph_->replay(); }

void Replay::clear() { graph_.reset(); }

}  // namespace qkv
