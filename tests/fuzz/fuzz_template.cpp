// Chat templates from anywhere: an Error or a text, in bounded time and memory.
#include "qkv/core/error.h"
#include "qkv/text/template/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto variables = nlohmann::ordered_json::parse(
      R"({"messages": [{"role": "user", "content": "hi é"}, {"role": "assistant", "content": "yes"}],
          "tools": [{"name": "f", "parameters": {"b": 1, "a": [1.5, null]}}], "bos_token": "<s>",
          "add_generation_prompt": true})");
  try {
    qkv::jinja::Template({reinterpret_cast<const char*>(data), size}).render(variables, 0);
  } catch (const qkv::Error&) {
  }
  return 0;
}
