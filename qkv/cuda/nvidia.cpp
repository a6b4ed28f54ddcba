// The device through NVIDIA's runtime, which is linked statically: the program starts where there is no driver.
#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/cuda/runtime.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdlib>
#include <utility>

namespace qkv::cuda {
namespace {

constexpr int least_major = 8;  // tensor cores that take bf16, and asynchronous copies

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // else the next call would report it again
  const char* hint = status == cudaErrorMemoryAllocation ? "use a smaller batch or context, or activation checkpointing"
                                                         : "compute-sanitizer shows where a kernel went wrong";
  throw Error("cuda", fmt::format("{}: {}", what, cudaGetErrorString(status)), hint);
}

struct Found {
  std::vector<DeviceInfo> devices;
  std::string why_none;
};

Found find() {
  Found found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    found.why_none =
        driver == 0 ? "no NVIDIA driver is installed"
                    : fmt::format("the NVIDIA driver is too old: it speaks CUDA {}.{}, and this build {}.{}",
                                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    return found;
  }
  if (status != cudaSuccess || count == 0) {
    found.why_none =
        status == cudaErrorNoDevice || count == 0 ? "the NVIDIA driver sees no card" : cudaGetErrorString(status);
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp card{};
    check(cudaGetDeviceProperties(&card, i), "asking for a card's properties");
    if (card.major >= least_major) {
      found.devices.push_back({card.name, card.totalGlobalMem, card.major, card.minor});
    } else {
      found.why_none = fmt::format("{} has compute capability {}.{}; {}.0 is the least", card.name, card.major,
                                   card.minor, least_major);
    }
  }
  return found;
}

const Found& found() {
  static const Found instance = find();
  return instance;
}

cudaStream_t the_stream() {
  static const cudaStream_t instance = [] {
    if (found().devices.empty()) throw Error("cuda", found().why_none, "use --device cpu");
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    return made;
  }();
  return instance;
}

}  // namespace

const std::vector<DeviceInfo>& devices() { return found().devices; }
std::string why_none() { return found().why_none; }

void* allocate(size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, bytes, the_stream()), "allocating memory");
  return memory;
}
void release(void* memory, size_t) { check(cudaFreeAsync(memory, the_stream()), "freeing memory"); }

void copy_to_device(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, the_stream()), "copying to the device");
  synchronize();
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, the_stream()), "copying from the device");
  synchronize();
}
void copy_on_device(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, the_stream()), "copying on the device");
}
void fill_bytes(void* to, unsigned char value, size_t bytes) {
  check(cudaMemsetAsync(to, value, bytes, the_stream()), "filling memory");
}
void synchronize() { check(cudaStreamSynchronize(the_stream()), "waiting for the device"); }

void* stream() { return the_stream(); }
void* open_library(const char* name) {
  std::vector<std::string> folders = {""};  // wherever the system looks
  if (const char* path = std::getenv("CUDA_PATH")) folders.push_back(std::string(path) + "/lib64/");
  folders.emplace_back("/usr/local/cuda/lib64/");
  for (const std::string& folder : folders)
    for (const char* version : {".so.13", ".so.12"})
      if (void* library = ::dlopen((folder + name + version).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  notice("cuda",
         fmt::format("{} was not found, and what it does goes through slow kernels: install CUDA's libraries, or "
                     "set CUDA_PATH to where they are",
                     name));
  return nullptr;
}

void check_launch(const char* op) { check(cudaGetLastError(), op); }

}  // namespace qkv::cuda
