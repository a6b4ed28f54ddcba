// One run of a model with a golden file's inputs.
#pragma once

#include "qkv/io/golden_comparison.h"

namespace qkv {

// Compares all that the golden file has of the run named by `prefix`: outputs, hidden states, attention, memories, the
// loss, and of the main run, whose prefix is empty, the gradients.
void compare_run(Model& model, const Safetensors& golden, const std::string& prefix, DType compute,
                 double gradient_tolerance, GoldenComparison& comparison);

}  // namespace qkv
