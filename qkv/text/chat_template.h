// The text that a chat model expects for a conversation: its checkpoint's Jinja template, rendered.
//
//   const ChatTemplate chat(tokenizer);
//   const std::string prompt = chat.render({{{"role", "user"}, {"content", "Hello"}}});
//   std::vector<int32_t> ids = tokenizer.encode_ids(prompt, {.add_special_tokens = false});
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/text/template/template.h"
#include "qkv/text/tokenizer.h"

#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

struct ChatOptions {
  OrderedJson tools = {};             // null, or an array of {"type": "function", "function": {...}}
  bool add_generation_prompt = true;  // ends with what stands before an answer
  OrderedJson variables = {};  // null, or an object of more that the template may ask for: {"enable_thinking": false}
  std::optional<std::time_t> now = {};  // what strftime_now tells; nothing: the present
};

class ChatTemplate {
 public:
  // The templates that the tokenizer's configuration holds under "chat_template" (a string, or a list of
  // {"name", "template"}), from whatever file: tokenizer_config.json, chat_template.jinja, GGUF. Throws Error when
  // there is none, and for one that cannot be read.
  explicit ChatTemplate(const Tokenizer& tokenizer);

  // One template from elsewhere, with the tokenizer's special tokens.
  ChatTemplate(const std::string& source, const Tokenizer& tokenizer);

  // Whether the first constructor would find a template.
  static bool present(const Tokenizer& tokenizer);

  // `messages` is an array of {"role", "content", ...}. The template also sees the special tokens by their names
  // (bos_token ...), null for `tools` and `documents` that are not given, and options.variables. With tools, of several
  // templates the one named "tool_use" is taken, else "default". The special tokens stand in the text: encode it
  // without adding any. Throws Error for messages that the template refuses, with its reason.
  std::string render(const OrderedJson& messages, const ChatOptions& options = {}) const;

 private:
  explicit ChatTemplate(const SpecialTokens& special, const Tokenizer& tokenizer);
  void add(const std::string& name, const std::string& source);

  std::map<std::string, jinja::Template> templates_;
  OrderedJson special_ = OrderedJson::object();
};

// The tokens that end an answer in the templates of well-known families ("<|im_end|>", "<|eot_id|>", "<end_of_turn>",
// ...), of those that the vocabulary has. Checkpoints often name only one of their ends.
std::vector<int32_t> turn_ends(const Tokenizer& tokenizer);

}  // namespace qkv
