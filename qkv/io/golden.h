// Golden files: what the reference library computes from a checkpoint, to compare with. golden.json lists the runs;
// golden.safetensors holds their inputs and results ("logits", "hidden_states.0", "grad.NAME", "left.logits", ...).
#pragma once

#include "qkv/io/hugging_face.h"
#include "qkv/io/safetensors.h"

#include <string>
#include <vector>

namespace qkv {

// One tensor compared.
struct GoldenResult {
  std::string name;
  double error = 0;  // largest |difference| relative to the scale below; 1 where a sequence differs
  double tolerance = 0;
  std::string note;  // why it failed where a number says too little
  bool passed() const { return error <= tolerance; }
};

// Runs a model directory against the golden files beside it: every output, hidden state, attention pattern, the loss
// and every gradient. Outputs: max |difference| / max |reference| <= 1e-4. Gradients: the same with 1e-3, the reference
// floored at 1e-3 of the largest gradient. Only positions that the mask shows are compared.
std::vector<GoldenResult> compare_with_golden(const fs::path& directory, DType compute);

// golden.json, its form checked: "runs" is a list of objects, "generation" an object or absent.
Json read_golden_description(const fs::path& directory);

}  // namespace qkv
