// A build without CUDA: there is no device, and nobody comes as far as asking one for memory.
#include "qkv/core/error.h"
#include "qkv/cuda/runtime.h"

namespace qkv::cuda {
namespace {

[[noreturn]] void refuse() { throw Error("cuda", why_none(), "use --device cpu"); }

}  // namespace

const std::vector<DeviceInfo>& devices() {
  static const std::vector<DeviceInfo> none;
  return none;
}
std::string why_none() { return "this build has no CUDA support"; }

void use(int) { refuse(); }
void* allocate(size_t) { refuse(); }
void release(void*, size_t) noexcept {}
void* allocate_for_both(size_t) { refuse(); }
void release_for_both(void*) {}
MemoryUse memory_use() { refuse(); }
void copy_to_device(void*, const void*, size_t) { refuse(); }
void copy_to_host(void*, const void*, size_t) { refuse(); }
void copy_on_device(void*, const void*, size_t) { refuse(); }
void fill_bytes(void*, unsigned char, size_t) { refuse(); }
void synchronize() { refuse(); }
void* stream() { refuse(); }
void* open_library(const char*, std::initializer_list<int>, const std::function<bool(void*)>&) { refuse(); }
void refuse_launch(const char*, int, const std::string&) { refuse(); }

struct Graph::Recording {};
Graph::Graph() = default;
Graph::~Graph() = default;
bool Graph::record(const std::function<void()>&) { refuse(); }
void Graph::replay() { refuse(); }

}  // namespace qkv::cuda
