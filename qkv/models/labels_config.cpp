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

std::vector<std::string> label_names(const Config& config, int64_t count) {
  const Json named = config.object("id2label").json();
  std::vector<std::string> names;
  for (int64_t id = 0; id < count; ++id) {
    const std::string key = std::to_string(id);
    if (named.empty()) {
      names.push_back("LABEL_" + key);
      continue;
    }
    const auto found = named.find(key);
    if (found == named.end() || !found->is_string())
      config.fail("id2label", "has no name for class " + key,
                  "name the classes from 0 to " + std::to_string(count - 1) + ", or leave id2label out");
    names.push_back(found->get<std::string>());
  }
  return names;
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
