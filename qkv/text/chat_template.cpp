#include "qkv/text/chat_template.h"

#include "qkv/core/error.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr const char* no_template = "this model has no chat template: it was not made for conversations";

}  // namespace

ChatTemplate::ChatTemplate(const SpecialTokens& special, const Tokenizer& tokenizer) {
  const std::pair<const char*, std::optional<int32_t>> roles[] = {
      {"bos_token", special.bos}, {"eos_token", special.eos}, {"unk_token", special.unk},  {"sep_token", special.sep},
      {"pad_token", special.pad}, {"cls_token", special.cls}, {"mask_token", special.mask}};
  for (const auto& [name, id] : roles)
    if (id) special_[name] = tokenizer.token(*id);
}

ChatTemplate::ChatTemplate(const std::string& source, const Tokenizer& tokenizer)
    : ChatTemplate(tokenizer.special(), tokenizer) {
  add("default", source);
}

ChatTemplate::ChatTemplate(const Tokenizer& tokenizer) : ChatTemplate(tokenizer.special(), tokenizer) {
  const Json found = tokenizer.config().value("chat_template", Json());
  if (found.is_null()) throw Error("chat template", no_template, "give a template of your own, or take a chat model");
  if (found.is_string()) {
    add("default", found);
    return;
  }
  const auto is_named = [](const Json& one) {
    return one.is_object() && one.value("name", Json()).is_string() && one.value("template", Json()).is_string();
  };
  if (!found.is_array() || found.empty() || !std::all_of(found.begin(), found.end(), is_named))
    throw Error("chat template", "expected a text, or a list of objects with \"name\" and \"template\"");
  for (const Json& one : found) add(one["name"], one["template"]);
}

std::vector<int32_t> turn_ends(const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const char* end : {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>"})
    if (const auto id = tokenizer.id(end)) ids.push_back(*id);
  return ids;
}

bool ChatTemplate::present(const Tokenizer& tokenizer) {
  return !tokenizer.config().value("chat_template", Json()).is_null();
}

void ChatTemplate::add(const std::string& name, const std::string& source) {
  templates_.insert_or_assign(name, jinja::Template(source));
}

std::string ChatTemplate::render(const OrderedJson& messages, const ChatOptions& options) const {
  if (!messages.is_array()) throw Error("chat template", "messages are an array");
  for (const OrderedJson& message : messages)
    if (!message.is_object()) throw Error("chat template", "a message is an object with \"role\" and \"content\"");
  auto found = templates_.find("tool_use");
  if (options.tools.is_null() || found == templates_.end()) found = templates_.find("default");
  if (found == templates_.end())
    throw Error("chat template", "none of its templates is the default one", "give a template of your own");
  OrderedJson variables = special_;
  variables["documents"] = nullptr;
  if (options.variables.is_object()) variables.update(options.variables);
  variables["messages"] = messages;
  variables["tools"] = options.tools;
  variables["add_generation_prompt"] = options.add_generation_prompt;
  return found->second.render(variables, options.now);
}

}  // namespace qkv
