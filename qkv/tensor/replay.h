// Work on tensors that is recorded once and then replayed, so that the host asks the device for all of it at once.
#pragma once

#include "qkv/tensor/storage.h"

#include <functional>
#include <memory>

namespace qkv::cuda {
class Graph;
}

namespace qkv {

// A replay reads and writes the same memory every time: what is to change between replays is written into tensors that
// the work reads (Tensor::renew), and a result holds its values until the next replay. Tensors that the work finds must
// live as long as its replays.
class Replay {
 public:
  Replay();
  ~Replay();

  // Whether `work` on the device has been recorded; none of it is done yet. Not on the CPU, with QKV_CUDA_GRAPHS=0 in
  // the environment, nor where the work copies between host and device. It has run once before, so that all is there
  // that is made at the first use.
  bool record(Device device, const std::function<void()>& work);

  void play();  // what was recorded last

  void clear();  // gives the recording and its memory back

 private:
  std::unique_ptr<cuda::Graph> graph_;
};

}  // namespace qkv
