// A request's body from anywhere: an ApiError, or a conversation as templates expect it.
#include "qkv/serve/chat_messages.h"
#include "qkv/serve/tool_calls.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const qkv::OrderedJson body = qkv::parse_body(text);
    qkv::Fields fields(body);
    fields.number("temperature", 0, 2);
    fields.integer("n", 1, 128);
    fields.texts("stop", 4);
    fields.flag("stream");
    qkv::OrderedJson tools;
    if (const qkv::OrderedJson* given = fields.find("tools")) tools = qkv::checked_tools(*given, fields);
    const qkv::OrderedJson messages = qkv::checked_messages(fields.require("messages"), fields);
    const qkv::ToolCalls calls(tools);
    for (const qkv::OrderedJson& message : messages) {
      if (!message["role"].is_string() || !message["content"].is_string()) __builtin_trap();
      const auto content = message["content"].get<std::string>();
      calls.read(content);
      if (calls.certain(content) > content.size()) __builtin_trap();
    }
    fields.finish();
  } catch (const qkv::ApiError&) {
  }
  return 0;
}
