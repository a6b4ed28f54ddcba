#include "qkv/serve/conversation_fields.h"

#include "qkv/serve/fields.h"

#include <limits>

namespace qkv {
namespace {

constexpr int64_t largest = int64_t{1} << 53;  // that JavaScript counts to
constexpr double any = std::numeric_limits<double>::max();

// The object of a name; null: there is none.
const OrderedJson* object(Fields& fields, const std::string& name) {
  const OrderedJson* value = fields.find(name);
  if (value != nullptr && !value->is_object()) fields.fail(name, "must be an object, not " + kind_of(*value));
  return value;
}

void check_settings(Fields& fields, const std::string& path) {
  const OrderedJson* given = object(fields, "settings");
  if (given == nullptr) return;
  Fields settings(*given, path + "settings.");
  for (const char* name : {"model", "system", "stop", "overflow"}) settings.text(name);
  for (const char* name : {"temperature", "max_tokens", "top_p", "top_k", "min_p", "seed", "repetition_penalty",
                           "frequency_penalty", "presence_penalty"})
    settings.number(name, -any, any);
}

// A token of an answer and, in "top", others that could have stood there: {"text", "score"}.
void check_token(const OrderedJson& token, const std::string& path, bool top) {
  Fields fields(token, path);
  fields.text("text");
  fields.number("score", -any, any);
  if (!top) return;
  const OrderedJson* others = fields.find("top");
  if (others == nullptr) return;
  if (!others->is_array()) fields.fail("top", "must be an array, not " + kind_of(*others));
  for (const OrderedJson& other : *others) check_token(other, path + "top.", false);
}

void check_extra(Fields& fields, const std::string& path) {
  const OrderedJson* given = object(fields, "extra");
  if (given == nullptr) return;
  Fields extra(*given, path + "extra.");
  extra.text("model");
  extra.text("finish");
  if (const OrderedJson* usage = object(extra, "usage"))
    Fields(*usage, path + "extra.usage.").integer("completion_tokens", 0, largest);
  const OrderedJson* tokens = extra.find("tokens");
  if (tokens == nullptr) return;
  if (!tokens->is_array()) extra.fail("tokens", "must be an array, not " + kind_of(*tokens));
  for (const OrderedJson& token : *tokens) check_token(token, path + "extra.tokens.", true);
}

void check_said(Fields& fields, const std::string& path) {
  if (fields.required_text("role").empty()) fields.fail("role", "must not be empty");
  fields.text("content");
  fields.integer("parent", 0, largest);
  check_extra(fields, path);
}

void check_titled(Fields& fields, const std::string& path) {
  fields.text("title");
  check_settings(fields, path);
}

const OrderedJson& array(Fields& fields, const std::string& name) {
  const OrderedJson& list = fields.require(name);
  if (!list.is_array()) fields.fail(name, "must be an array, not " + kind_of(list));
  return list;
}

}  // namespace

void check_conversation(const OrderedJson& body, bool is_there) {
  Fields fields(body);
  check_titled(fields, "");
  if (is_there) fields.integer("leaf", 0, largest);
  fields.finish();
}

void check_message(const OrderedJson& body) {
  Fields fields(body);
  check_said(fields, "");
  fields.finish();
}

void check_export(const OrderedJson& body) {
  Fields fields(body);
  fields.required_text("format");
  size_t count = 0;
  for (const OrderedJson& conversation : array(fields, "conversations")) {
    const std::string path = fmt::format("conversations[{}].", count++);
    Fields one(conversation, path);
    check_titled(one, path);
    one.text("id");
    for (const char* name : {"leaf", "created", "updated"}) one.integer(name, 0, largest);
    size_t said = 0;
    for (const OrderedJson& message : array(one, "messages")) {
      const std::string place = fmt::format("{}messages[{}].", path, said++);
      Fields each(message, place);
      check_said(each, place);
      for (const char* name : {"id", "created"}) each.integer(name, 0, largest);
      each.finish();
    }
    one.finish();
  }
  fields.finish();
}

}  // namespace qkv
