// Class counts and problem types as Hugging Face configurations spell them.
#pragma once

#include "qkv/models/config.h"
#include "qkv/models/task.h"
#include "qkv/nn/heads.h"

#include <string>
#include <vector>

namespace qkv {

// Outputs of the classifier: "id2label" or "num_labels" (default 2) for classification, 2 for answer spans, 1 for
// multiple choice, 0 for tasks without one.
int64_t label_count(const Config& config, Task task);

// The values of "id2label" in the order of their ids; LABEL_0, LABEL_1, ... without it. Throws Error when an id of
// 0 .. count - 1 has no name.
std::vector<std::string> label_names(const Config& config, int64_t count);

// "problem_type"; when absent, one label is regression and more are exclusive classes.
HeadsSpec::Problem label_problem(const Config& config);

}  // namespace qkv
