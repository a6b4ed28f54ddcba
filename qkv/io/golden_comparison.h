// Results against the tensors of a golden file, one by one.
#pragma once

#include "qkv/io/golden.h"

#include <map>
#include <set>

namespace qkv {

class GoldenComparison {
 public:
  GoldenComparison(const Safetensors& golden, double tolerance) : golden_(golden), tolerance_(tolerance) {}

  // Compares a result with a golden tensor, if there is one, where `visible` (per row and position, may be empty) is
  // not 0. `position_dim`: which dimension runs over positions; 0: the first runs over all rows' positions.
  void add(const std::string& name, const Tensor& result, const std::vector<uint8_t>& visible, int position_dim);

  // Compares all gradients, by the names of the checkpoint's tensors.
  void add_gradients(const std::map<std::string, Tensor>& gradients, double tolerance);

  // Fails for a golden result that was never compared.
  void require(const std::string& name);

  const std::vector<GoldenResult>& results() const { return results_; }

 private:
  void report(const std::string& name, double difference, double largest, double tolerance);

  const Safetensors& golden_;
  double tolerance_;
  std::set<std::string> compared_;
  std::vector<GoldenResult> results_;
};

}  // namespace qkv
