#include "qkv/core/error.h"
#include "qkv/text/template/filter_tables.h"

namespace qkv::jinja {

BoundFilter filter_named(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& table : {text_filters(), list_filters(), order_filters(), number_filters()})
    for (const FilterEntry& entry : table) {
      if (entry.name == name)
        return [&entry](const Value& value, const Arguments& arguments) {
          arguments.at_most(entry.most);
          return entry.filter(value, arguments);
        };
      names.emplace_back(entry.name);
    }
  const std::string near = nearest(name, names);
  throw Error("template", fmt::format("there is no filter '{}'", name), near.empty() ? "" : "write " + near);
}

}  // namespace qkv::jinja
