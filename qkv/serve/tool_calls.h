// Calls of tools in what a model writes: {"name": ..., "arguments": {...}} between <tool_call> and </tool_call>
// (Hermes, Qwen), or as the whole answer, alone or in a list (Mistral; Llama 3, which says "parameters").
#pragma once

#include "qkv/core/json.h"
#include "qkv/core/ordered_json.h"

#include <set>
#include <string>

namespace qkv {

class ToolCalls {
 public:
  // `tools` as OpenAI has them; null: nothing is a call.
  explicit ToolCalls(const OrderedJson& tools);

  struct Answer {
    std::string content;
    Json calls = Json::array();  // [{"id", "type": "function", "function": {"name", "arguments"}}]
  };
  // Calls of functions that were not offered stay text.
  Answer read(const std::string& text) const;

  // A schema of a call that fits: of the function named, or of any (""). Throws ApiError for a name that was not
  // offered.
  static OrderedJson schema_of_calls(const OrderedJson& tools, const std::string& name);

  // Of an answer that still grows: how many bytes are no part of a call, however it goes on.
  size_t certain(const std::string& text) const;

 private:
  bool add_call(const std::string& text, Json& calls) const;
  std::set<std::string> names_;
};

}  // namespace qkv
