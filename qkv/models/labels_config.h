// Class counts and problem types as Hugging Face configurations spell them.
#pragma once

#include "qkv/models/config.h"
#include "qkv/models/task.h"
#include "qkv/nn/heads.h"

namespace qkv {

// Outputs of the classifier: "id2label" or "num_labels" (default 2) for classification, 2 for answer spans, 1 for
// multiple choice, 0 for tasks without one.
int64_t label_count(const Config& config, Task task);

// "problem_type"; when absent, one label is regression and more are exclusive classes.
HeadsSpec::Problem label_problem(const Config& config);

}  // namespace qkv
