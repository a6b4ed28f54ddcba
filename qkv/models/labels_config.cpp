#include "qkv/models/labels_config.h"

namespace qkv {
namespace {

int64_t classes(const Config& config) {
  const Json names = config.object("id2label").json();
  return names.empty() ? config.size("num_labels", 2) : static_cast<int64_t>(names.size());
}

}  // namespace

int64_t label_count(const Config& config, Task task) {
  switch (task) {
    case Task::sequence_classification:
    case Task::token_classification:
      return classes(config);
    case Task::question_answering:
      return 2;
    case Task::multiple_choice:
    case Task::replaced_tokens:
      return 1;
    default:
      return 0;
  }
}

HeadsSpec::Problem label_problem(const Config& config) {
  using Problem = HeadsSpec::Problem;
  const std::string type =
      config.text("problem_type", classes(config) == 1 ? "regression" : "single_label_classification");
  if (type == "regression") return Problem::regression;
  if (type == "multi_label_classification") return Problem::multi_label;
  if (type == "single_label_classification") return Problem::single_label;
  config.fail("problem_type", "'" + type + "' is not supported",
              "regression, single_label_classification or multi_label_classification");
}

}  // namespace qkv
