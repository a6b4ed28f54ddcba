// What can be wrong between an architecture and the weights that come with it.
#pragma once

#include "qkv/models/spec.h"

#include <string>
#include <vector>

namespace qkv {

// What went wrong with the weights, told all at once.
struct WeightProblems {
  std::vector<std::string> missing, shapes, left;

  // Throws Error when there is any. `described_by` names what says how the model is built.
  void raise(const std::string& where, std::string_view family, std::string_view described_by) const;
};

// The architecture must not ask for much more than the weights hold, or a few bytes become an allocation of any size.
// Throws Error naming `where`. What differs less is told tensor by tensor.
void check_extent(const Spec& spec, const std::string& where, int64_t tensors, int64_t numbers);

}  // namespace qkv
