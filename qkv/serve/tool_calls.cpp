#include "qkv/serve/tool_calls.h"

#include "qkv/core/error.h"
#include "qkv/serve/api_error.h"
#include "qkv/serve/handlers.h"

namespace qkv {
namespace {

constexpr std::string_view opening = "<tool_call>", closing = "</tool_call>";

// null: no JSON, or of a depth that nobody means.
Json json_of(const std::string& text) {
  try {
    return parse_json(text, "answer");
  } catch (const Error&) {
    return nullptr;
  }
}

size_t first_of_text(const std::string& text) { return text.find_first_not_of(" \t\r\n"); }

}  // namespace

ToolCalls::ToolCalls(const OrderedJson& tools) {
  for (const auto& tool : tools) names_.insert(tool["function"]["name"].get<std::string>());
}

// Adds the call, or the calls of a list; false and nothing when the text is none.
bool ToolCalls::add_call(const std::string& text, Json& calls) const {
  Json given = json_of(text);
  if (given.is_object()) given = Json::array({given});
  if (!given.is_array() || given.empty()) return false;
  Json found = Json::array();
  for (const Json& one : given) {
    if (!one.is_object() || !one.value("name", Json()).is_string() || !names_.contains(one["name"].get<std::string>()))
      return false;
    const Json arguments = one.value("arguments", one.value("parameters", Json::object()));
    if (!arguments.is_object()) return false;
    found.push_back({{"id", fresh_id("call_")},
                     {"type", "function"},
                     {"function", {{"name", one["name"]}, {"arguments", arguments.dump()}}}});
  }
  calls.insert(calls.end(), found.begin(), found.end());
  return true;
}

OrderedJson ToolCalls::schema_of_calls(const OrderedJson& tools, const std::string& name) {
  OrderedJson calls = OrderedJson::array();
  for (const OrderedJson& tool : tools) {
    const OrderedJson& function = tool["function"];
    if (!name.empty() && function["name"] != name) continue;
    calls.push_back({{"type", "object"},
                     {"properties",
                      {{"name", {{"const", function["name"]}}},
                       {"arguments", function.value("parameters", OrderedJson({{"type", "object"}}))}}},
                     {"required", {"name", "arguments"}}});
  }
  if (calls.empty()) throw ApiError(400, fmt::format("'tools' has no function '{}'.", name), "tool_choice");
  return {{"anyOf", calls}};
}

ToolCalls::Answer ToolCalls::read(const std::string& text) const {
  Answer answer{.content = text};
  if (names_.empty()) return answer;
  const size_t first = first_of_text(text);
  if (first != std::string::npos && (text[first] == '{' || text[first] == '[') && add_call(text, answer.calls)) {
    answer.content.clear();
    return answer;
  }
  const size_t start = text.find(opening);
  for (size_t at = start; at != std::string::npos; at = text.find(opening, at)) {
    const size_t begin = at + opening.size();
    const size_t end = text.find(closing, begin);
    if (!add_call(text.substr(begin, end == std::string::npos ? end : end - begin), answer.calls)) {
      answer.calls.clear();
      return answer;
    }
    at = begin;
  }
  if (!answer.calls.empty()) answer.content = text.substr(0, start);
  return answer;
}

size_t ToolCalls::certain(const std::string& text) const {
  if (names_.empty()) return text.size();
  const size_t first = first_of_text(text);
  if (first == std::string::npos || text[first] == '{' || text[first] == '[') return 0;
  if (const size_t at = text.find(opening); at != std::string::npos) return at;
  for (size_t n = std::min(opening.size() - 1, text.size()); n > 0; --n)
    if (text.ends_with(opening.substr(0, n))) return text.size() - n;
  return text.size();
}

}  // namespace qkv
