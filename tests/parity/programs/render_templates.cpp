// Renders JSON lines {"template": "...", "variables": {...}} into lines {"text": "..."} or {"error": "..."}, for
// comparison with Python's jinja2 (template_parity.py).
#include "qkv/core/error.h"
#include "qkv/core/ordered_json.h"
#include "qkv/text/template/template.h"

#include <iostream>

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    qkv::OrderedJson result;
    try {
      const qkv::OrderedJson in = qkv::parse_ordered_json(line, "line", 128);
      result["text"] =
          qkv::jinja::Template(in.at("template").get<std::string>()).render(in.at("variables"), 1700000000);
    } catch (const qkv::Error& error) {
      result["error"] = error.what();
    }
    std::cout << result.dump(-1, ' ', true) << "\n";
  }
}
