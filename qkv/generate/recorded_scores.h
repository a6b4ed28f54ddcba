// A pass of a model that gives scores, recorded once on a GPU and replayed (tensor/replay.h): the host then asks for
// one thing, not for every kernel.
#pragma once

#include "qkv/tensor/replay.h"
#include "qkv/tensor/tensor.h"

#include <functional>

namespace qkv {

class RecordedScores {
 public:
  // The pass reads `count` numbers that change from replay to replay.
  explicit RecordedScores(int64_t count) : numbers_(Tensor::zeros({count}, DType::i32)) {}

  // i32 [count], on the host, to be written before
  const Tensor& numbers() const { return numbers_; }
  // the device gets what stands there now.
  void renew(Device device) const;

  // Whether the pass was recorded; nothing is done yet. It has run once before, so that all is there that is made at
  // the first use. Where it fails, most likely for want of memory, a notice says so.
  bool record(Device device, const std::function<Tensor()>& pass);

  Tensor play();  // good until the next time

 private:
  Tensor numbers_;
  Replay replay_;
  Tensor scores_;
};

}  // namespace qkv
