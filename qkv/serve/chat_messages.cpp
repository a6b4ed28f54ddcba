#include "qkv/serve/chat_messages.h"

#include "qkv/core/error.h"
#include "qkv/serve/prompt_ids.h"

namespace qkv {
namespace {

constexpr size_t most_messages = 4096;
constexpr size_t most_tools = 128;

std::string text_of_parts(const OrderedJson& parts, const std::string& where, const Fields& fields) {
  std::string text;
  for (const OrderedJson& part : parts) {
    if (!part.is_object() || part.value("type", OrderedJson()) != "text")
      fields.fail(where, "may hold parts of the type 'text' alone: these models read no pictures or sound");
    const OrderedJson said = part.value("text", OrderedJson());
    if (!said.is_string()) fields.fail(where, "has a part without its 'text'");
    text += said.get<std::string>();
  }
  return text;
}

void read_arguments(OrderedJson& calls, const std::string& where, const Fields& fields) {
  if (!calls.is_array()) fields.fail(where, "must be an array");
  for (OrderedJson& call : calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object() ||
        !call["function"].value("name", OrderedJson()).is_string())
      fields.fail(where, "must hold calls with a 'function' and its 'name'");
    OrderedJson& function = call["function"];
    if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
    try {
      OrderedJson arguments = parse_ordered_json(function["arguments"].get<std::string>(), where);
      if (arguments.is_object()) function["arguments"] = std::move(arguments);
    } catch (const Error&) {
      // What is no JSON stays text.
    }
  }
}

}  // namespace

OrderedJson checked_messages(const OrderedJson& given, const Fields& fields) {
  if (!given.is_array() || given.empty() || given.size() > most_messages)
    fields.fail("messages", fmt::format("must be an array of 1 to {} messages", most_messages));
  OrderedJson messages = given;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string where = fmt::format("messages[{}]", i);
    OrderedJson& message = messages[i];
    if (!message.is_object()) fields.fail(where, "must be an object, not " + kind_of(message));
    if (!message.value("role", OrderedJson()).is_string()) fields.fail(where + ".role", "must be a string");
    if (message.contains("tool_calls") && !message["tool_calls"].is_null())
      read_arguments(message["tool_calls"], where + ".tool_calls", fields);
    const OrderedJson content = message.value("content", OrderedJson());
    if (content.is_array()) {
      message["content"] = text_of_parts(content, where + ".content", fields);
    } else if (content.is_null()) {
      if (!message.contains("tool_calls")) fields.fail(where + ".content", "is missing");
      message["content"] = "";
    } else if (!content.is_string()) {
      fields.fail(where + ".content", "must be a string or an array of parts, not " + kind_of(content));
    }
  }
  return messages;
}

std::vector<int32_t> chat_prompt(const ServedModel& model, const OrderedJson& messages, const ChatOptions& options,
                                 bool must_fit) {
  std::string prompt;
  try {
    prompt = model.chat_template().render(messages, options);
  } catch (const Error& error) {
    throw ApiError(400, fmt::format("The model's chat template refuses this: {}", error.reason()), "messages");
  }
  return prompt_ids(model, prompt, false, must_fit, "messages");
}

OrderedJson checked_tools(const OrderedJson& tools, const Fields& fields) {
  if (!tools.is_array() || tools.size() > most_tools)
    fields.fail("tools", fmt::format("must be an array of at most {} tools", most_tools));
  if (tools.empty()) return nullptr;
  for (const OrderedJson& tool : tools)
    if (!tool.is_object() || tool.value("type", OrderedJson()) != "function" || !tool.contains("function") ||
        !tool["function"].is_object() || !tool["function"].value("name", OrderedJson()).is_string())
      fields.fail("tools", "must hold objects of the type 'function' with a 'function' and its 'name'");
  return tools;
}

}  // namespace qkv
