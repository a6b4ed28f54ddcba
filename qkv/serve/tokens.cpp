// Text to tokens and back.
#include "qkv/serve/answers.h"
#include "qkv/serve/chat_messages.h"
#include "qkv/serve/fields.h"
#include "qkv/serve/handlers.h"

namespace qkv {
namespace {

void tokenize(const Call& call, ModelStore& models) {
  const OrderedJson body = parse_body(call.request->body);
  Fields fields(body);
  const auto lease = models.lease(fields.text("model").value_or(""));
  const auto content = fields.text("content");
  const OrderedJson* messages = fields.find("messages");
  const bool special = fields.flag("add_special").value_or(true);
  const bool pieces = fields.flag("with_pieces").value_or(false);
  fields.finish();
  if (content.has_value() == (messages != nullptr)) fields.fail("content", "or 'messages' must be given, not both");
  const Tokenizer& tokenizer = lease->model().tokenizer();
  const std::vector<int32_t> ids = content ? tokenizer.encode_ids(*content, {.add_special_tokens = special})
                                           : chat_prompt(lease->model(), checked_messages(*messages, fields));
  Json answer = {{"tokens", ids}, {"count", ids.size()}};
  if (pieces) {
    answer["pieces"] = Json::array();
    for (const int32_t id : ids) answer["pieces"].push_back(tokenizer.token(id));
  }
  send_json(*call.reply, answer);
}

void detokenize(const Call& call, ModelStore& models) {
  const OrderedJson body = parse_body(call.request->body);
  Fields fields(body);
  const auto lease = models.lease(fields.text("model").value_or(""));
  const OrderedJson& tokens = fields.require("tokens");
  fields.finish();
  if (!tokens.is_array()) fields.fail("tokens", "must be a list of token ids, not " + kind_of(tokens));
  const Tokenizer& tokenizer = lease->model().tokenizer();
  std::vector<int32_t> ids;
  for (const OrderedJson& id : tokens) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= tokenizer.vocab_size())
      fields.fail("tokens", "has an entry that is no token id of this model");
    ids.push_back(id.get<int32_t>());
  }
  send_json(*call.reply, {{"content", tokenizer.decode(ids)}});
}

}  // namespace

void add_tokens(Routes& routes, ModelStore& models) {
  routes.add("POST", "/tokenize", [&models](const Call& call) { tokenize(call, models); });
  routes.add("POST", "/detokenize", [&models](const Call& call) { detokenize(call, models); });
}

}  // namespace qkv
