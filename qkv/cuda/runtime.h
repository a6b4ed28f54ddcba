// The CUDA device: its memory, its stream, its errors. Three builds stand behind this header: without CUDA (none.cpp),
// on NVIDIA's runtime (nvidia.cpp), and emulated on the host, for tests on machines without such a card (emulated/).
// Work goes to one stream a device, in order; only what its comment says waits for it.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace qkv::cuda {

struct DeviceInfo {
  std::string name;
  size_t memory = 0;         // bytes
  int major = 0, minor = 0;  // compute capability
  // What its rates follow from (cuda/card_rates.h); 0: not known.
  int multiprocessors = 0;
  double clock = 0, memory_clock = 0;  // Hz, the highest
  int memory_bus = 0;                  // bits
};

// The devices that kernels can run on. Empty where there are none; why_none() then says so in one line.
const std::vector<DeviceInfo>& devices();
std::string why_none();

// The device of this process, by its place in devices(): 0 unless chosen before the first call below. Throws Error once
// another is in use.
void use(int device);

// Memory of the device, aligned to 256 bytes. What is released may be handed out again at once, to work that follows in
// the stream. Throws Error when there is no device, or no memory: then with who holds it, as far as known.
void* allocate(size_t bytes);
void release(void* memory, size_t bytes) noexcept;

// Memory that the host and the device both read and write, and that goes to and fro: for tests and benches of kernels.
// Null where there is no more.
void* allocate_for_both(size_t bytes);
void release_for_both(void* memory);

struct MemoryUse {
  size_t now = 0;     // bytes allocated
  size_t peak = 0;    // the most there ever were
  size_t cached = 0;  // released, kept for reuse
};
MemoryUse memory_use();

void copy_to_device(void* to, const void* from, size_t bytes);  // `from` may change when it returns
void copy_to_host(void* to, const void* from, size_t bytes);    // waits for all work before it
void copy_on_device(void* to, const void* from, size_t bytes);
void fill_bytes(void* to, unsigned char value, size_t bytes);
void synchronize();

void* stream();  // a cudaStream_t

// Work recorded once and given to the stream again as a whole: the host asks once, not once a kernel.
class Graph {
 public:
  Graph();
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Records what `work` gives to the stream on this thread: kernels, fills, and copies on the device. None of it is
  // done yet. False where it cannot be recorded, because it needs the host's memory or the driver refuses; then there
  // is no recording. What `work` allocates keeps its place for all replays, and its values until the next. The same
  // work has been done once before, so that all is there that is made at the first use.
  bool record(const std::function<void()>& work);

  void replay();  // what was recorded last

 private:
  struct Recording;
  std::unique_ptr<Recording> recording_;
};

// NVIDIA's library of that name ("libcublasLt"), for dlsym(), in the first of the versions that there is: where the
// system looks, in $CUDA_PATH/lib64, $CUDA_PATH/lib, for cuDNN as PyPI packs it $CUDA_PATH/../cudnn/lib, in
// /usr/local/cuda/lib64, or, last, beside the compiler that built this. One of a later CUDA than the driver's loads,
// but will not begin: `works`, where given, says whether one does. Null, after a notice, where there is none; and on
// the emulated device.
void* open_library(const char* name, std::initializer_list<int> versions,
                   const std::function<bool(void* library)>& works = {});

// Throws Error for a kernel of `op` that was not started. `status` is a cudaError_t; `call` says what was asked for.
[[noreturn]] void refuse_launch(const char* op, int status, const std::string& call);

}  // namespace qkv::cuda
