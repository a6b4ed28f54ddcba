#include "qkv/tasks/labels.h"

namespace qkv {

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

}  // namespace qkv
