// The device through NVIDIA's runtime, which is linked statically: the program starts where there is no driver.
#include "qkv/core/error.h"
#include "qkv/core/notice.h"
#include "qkv/cuda/failure.h"
#include "qkv/cuda/recorded_memory.h"
#include "qkv/cuda/runtime.h"
#include "qkv/cuda/staged_copies.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace qkv::cuda {
namespace {

constexpr int least_major = 8;  // tensor cores that take bf16, and asynchronous copies

static_assert(failed_configuration == cudaErrorInvalidConfiguration &&
              failed_no_code == cudaErrorNoKernelImageForDevice && failed_newer_ptx == cudaErrorUnsupportedPtxVersion);

[[noreturn]] void fail(cudaError_t status, const std::string& doing) {
  cudaGetLastError();  // else the libraries might take it for their own
  int number = 0;
  cudaDeviceProp card{};
  if (cudaGetDevice(&number) == cudaSuccess) cudaGetDeviceProperties(&card, number);
  cudaGetLastError();
  throw_failure(status, cudaGetErrorString(status), doing,
                {.name = card.name, .memory = card.totalGlobalMem, .major = card.major, .minor = card.minor});
}

void check(cudaError_t status, const char* doing) {
  if (status != cudaSuccess) fail(status, doing);
}

// 0 where the driver does not tell.
int attribute_of(int card, cudaDeviceAttr attribute) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, attribute, card) != cudaSuccess) cudaGetLastError();
  return value;
}

DeviceInfo info_of(int number, const cudaDeviceProp& card) {
  constexpr double khz = 1e3;
  return {.name = card.name,
          .memory = card.totalGlobalMem,
          .major = card.major,
          .minor = card.minor,
          .multiprocessors = card.multiProcessorCount,
          .clock = khz * attribute_of(number, cudaDevAttrClockRate),
          .memory_clock = khz * attribute_of(number, cudaDevAttrMemoryClockRate),
          .memory_bus = attribute_of(number, cudaDevAttrGlobalMemoryBusWidth)};
}

struct Found {
  std::vector<DeviceInfo> devices;
  std::vector<int> cards;  // their numbers to the runtime, which counts those that cannot be used too
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
      found.devices.push_back(info_of(i, card));
      found.cards.push_back(i);
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

std::atomic<int> wanted{0};

// What the process works with, made at the first use.
struct Work {
  int place = 0;  // in devices()
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
};

Work begin() {
  if (found().devices.empty()) throw Error("cuda", found().why_none, "use --device cpu");
  Work work{.place = wanted};
  const int card = found().cards[static_cast<size_t>(work.place)];
  check(cudaSetDevice(card), "choosing the card");
  check(cudaStreamCreateWithFlags(&work.stream, cudaStreamNonBlocking), "making a stream");
  check(cudaDeviceGetDefaultMemPool(&work.pool, card), "asking for the card's memory");
  // What is released stays with the process: a step asks for the same sizes again.
  uint64_t all = UINT64_MAX;
  check(cudaMemPoolSetAttribute(work.pool, cudaMemPoolAttrReleaseThreshold, &all), "keeping the card's memory");
  return work;
}

const Work& work() {
  static const Work instance = begin();
  // Each thread has a card of its own to the runtime, the first until it says otherwise.
  thread_local bool entered = false;
  if (!entered) {
    check(cudaSetDevice(found().cards[static_cast<size_t>(instance.place)]), "choosing the card");
    entered = true;
  }
  return instance;
}

// Of the work that this thread records; null while it does not.
struct Capture {
  cudaStream_t stream;
  RecordedMemory& memory;
};
thread_local const Capture* capture = nullptr;

cudaStream_t the_stream() { return capture != nullptr ? capture->stream : work().stream; }

void refuse_to_record(const char* what) {
  if (capture != nullptr) throw NotRecordable{what};
}

uint64_t of_pool(cudaMemPoolAttr attribute) {
  uint64_t value = 0;
  check(cudaMemPoolGetAttribute(work().pool, attribute, &value), "asking for the use of memory");
  return value;
}

[[noreturn]] void refuse(size_t bytes) {
  constexpr double gib = 1 << 30;
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  const auto in_gib = [](auto count) { return static_cast<double>(count) / gib; };
  const uint64_t used = of_pool(cudaMemPoolAttrUsedMemCurrent), reserved = of_pool(cudaMemPoolAttrReservedMemCurrent);
  throw Error(
      "memory",
      fmt::format("cannot allocate {:.2f} GiB on {}: of its {:.1f} GiB, tensors hold {:.1f}, {:.1f} are kept in "
                  "pieces that do not fit, and {:.1f} are other programs', the driver's and the kernels'",
                  in_gib(bytes), found().devices[static_cast<size_t>(work().place)].name, in_gib(total), in_gib(used),
                  in_gib(reserved - used), std::max(0.0, in_gib(total - free) - in_gib(reserved))),
      "a smaller --batch or --context, --dtype bf16, or --checkpoint-activations when training");
}

void* allocate_now(size_t bytes) {
  if (bytes == 0) bytes = 1;
  void* memory = nullptr;
  cudaError_t status = cudaMallocAsync(&memory, bytes, work().stream);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    // Once all work is done, all that is released can be given back, and be put together anew.
    check(cudaStreamSynchronize(work().stream), "waiting for the device");
    check(cudaMemPoolTrimTo(work().pool, 0), "giving memory back");
    status = cudaMallocAsync(&memory, bytes, work().stream);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      refuse(bytes);
    }
  }
  check(status, "allocating memory");
  return memory;
}

// Nothing is said of a failure: at the end of the program the runtime may be gone before the last tensor, and a card
// that has failed says so at the next call.
void release_now(void* memory, size_t) noexcept {
  try {
    if (cudaFreeAsync(memory, work().stream) != cudaSuccess) cudaGetLastError();
  } catch (const Error&) {
  }
}

class PinnedMemory : public StagedCopies::Driver {
 public:
  void* pinned(size_t bytes) override {
    void* memory = nullptr;
    bool whole = cudaMallocHost(&memory, bytes) == cudaSuccess;
    for (cudaEvent_t& event : passed_)
      whole = whole && (event != nullptr || cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    cudaGetLastError();
    return whole ? memory : nullptr;
  }
  void copy(void* to, const void* from, size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, work().stream), "copying to the device");
  }
  void fetch(void* to, const void* from, size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, work().stream), "copying from the device");
  }
  void mark(int piece) override { check(cudaEventRecord(passed_[piece], work().stream), "marking work"); }
  void wait(int piece) override { check(cudaEventSynchronize(passed_[piece]), "waiting for the device"); }

 private:
  cudaEvent_t passed_[StagedCopies::marks] = {};
};

constexpr const char* driver_refuses = "the driver refuses a part of them";

StagedCopies& staged_copies() {
  static auto* const driver = new PinnedMemory;  // as long as the process
  static auto* const copies = new StagedCopies(*driver);
  return *copies;
}

}  // namespace

const std::vector<DeviceInfo>& devices() { return found().devices; }
std::string why_none() { return found().why_none; }

void use(int device) {
  wanted = device;
  if (work().place != device)
    throw Error("device", fmt::format("this process works on card {} already", work().place), "one card a process");
}

void* allocate(size_t bytes) { return capture != nullptr ? capture->memory.take(bytes) : allocate_now(bytes); }
void release(void* memory, size_t bytes) noexcept {
  if (!RecordedMemory::give_back(memory, bytes)) release_now(memory, bytes);
}

void* allocate_for_both(size_t bytes) {
  work();
  void* memory = nullptr;
  if (cudaMallocManaged(&memory, bytes) == cudaSuccess) return memory;
  cudaGetLastError();
  return nullptr;
}
void release_for_both(void* memory) { cudaFree(memory); }

MemoryUse memory_use() {
  const uint64_t now = of_pool(cudaMemPoolAttrUsedMemCurrent);
  return {.now = now,
          .peak = of_pool(cudaMemPoolAttrUsedMemHigh),
          .cached = of_pool(cudaMemPoolAttrReservedMemCurrent) - now};
}

void copy_to_device(void* to, const void* from, size_t bytes) {
  refuse_to_record(copying_to_device);
  if (staged_copies().copy(to, from, bytes)) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, the_stream()), "copying to the device");
  synchronize();  // `from` may change now: a card that reads the host's memory by itself need not have taken it
}
void copy_to_host(void* to, const void* from, size_t bytes) {
  refuse_to_record(copying_to_host);
  if (staged_copies().read(to, from, bytes)) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, the_stream()), "copying from the device");
  synchronize();
}
void copy_on_device(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, the_stream()), "copying on the device");
}
void fill_bytes(void* to, unsigned char value, size_t bytes) {
  check(cudaMemsetAsync(to, value, bytes, the_stream()), "filling memory");
}
void synchronize() {
  refuse_to_record(waiting);
  check(cudaStreamSynchronize(the_stream()), "waiting for the device");
}

void* stream() { return the_stream(); }
void* open_library(const char* name, std::initializer_list<int> versions, const std::function<bool(void*)>& works) {
  std::vector<std::string> folders = {""};  // wherever the system looks
  const auto add_below = [&](const std::string& path) {
    for (const char* folder : {"/lib64/", "/lib/", "/../cudnn/lib/"}) folders.push_back(path + folder);
  };
  if (const char* path = std::getenv("CUDA_PATH")) add_below(path);
  folders.emplace_back("/usr/local/cuda/lib64/");
#if defined(QKV_CUDA_BUILT_WITH)
  add_below(QKV_CUDA_BUILT_WITH);
#endif
  bool refused = false;
  for (const std::string& folder : folders)
    for (const int version : versions) {
      const std::string file = fmt::format("{}{}.so.{}", folder, name, version);
      void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr) continue;
      if (!works || works(library)) return library;
      refused = true;
    }
  notice("cuda", fmt::format("{} {}, and what it does goes through slower kernels: install NVIDIA's libraries, or "
                             "set CUDA_PATH to where CUDA is",
                             name, refused ? "does not work with this driver or card" : "was not found"));
  return nullptr;
}

void refuse_launch(const char* op, int status, const std::string& call) {
  fail(static_cast<cudaError_t>(status), fmt::format("starting {} ({})", op, call));
}

struct Graph::Recording {
  std::shared_ptr<RecordedMemory> memory = std::make_shared<RecordedMemory>(allocate_now, release_now);
  cudaGraphExec_t whole = nullptr;

  // Its memory may go to others at once: they come later in the stream than its last replay.
  ~Recording() {
    if (whole != nullptr) cudaGraphExecDestroy(whole);
  }
};

Graph::Graph() = default;
Graph::~Graph() = default;

// Into a stream of its own, so that what other threads do meanwhile is not recorded.
bool Graph::record(const std::function<void()>& body) {
  recording_.reset();
  auto recording = std::make_unique<Recording>();
  work();  // else made while recording
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  const std::unique_ptr<CUstream_st, cudaError_t (*)(cudaStream_t)> kept(stream, cudaStreamDestroy);
  // Relaxed: taking memory from the other stream is allowed.
  if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) != cudaSuccess) {
    cudaGetLastError();
    say_why_not_recorded(driver_refuses);
    return false;
  }
  cudaGraph_t graph = nullptr;
  const Capture own{stream, *recording->memory};
  const auto end = [&] {
    capture = nullptr;
    return cudaStreamEndCapture(stream, &graph) == cudaSuccess;
  };
  capture = &own;
  bool whole = true;
  try {
    body();
  } catch (const NotRecordable& refusal) {
    say_why_not_recorded(refusal.what);
    whole = false;
  } catch (...) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const bool refused =
        cudaStreamIsCapturing(stream, &status) != cudaSuccess || status == cudaStreamCaptureStatusInvalidated;
    end();
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    if (!refused) throw;
    say_why_not_recorded(driver_refuses);  // what failed then is only that
    return false;
  }
  const bool ended = end();
  const bool made = whole && ended && cudaGraphInstantiate(&recording->whole, graph, 0) == cudaSuccess;
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
  if (whole && !made) say_why_not_recorded(driver_refuses);
  if (made) recording_ = std::move(recording);
  return made;
}

void Graph::replay() { check(cudaGraphLaunch(recording_->whole, work().stream), "starting recorded work"); }

}  // namespace qkv::cuda
