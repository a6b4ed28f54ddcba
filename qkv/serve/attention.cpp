// What a place of a text attended to: for those who look inside.
#include "qkv/serve/answers.h"
#include "qkv/serve/chat_messages.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/prompt_ids.h"
#include "qkv/serve/task_call.h"
#include "qkv/serve/token_text.h"

#include <cmath>

namespace qkv {
namespace {

constexpr int64_t most_weights = 1 << 20;  // of an answer

std::vector<int32_t> ids_of(Fields& fields, const std::string& name, const OrderedJson& list, int64_t vocab) {
  if (!list.is_array()) fields.fail(name, "must be a list of token ids, not " + kind_of(list));
  std::vector<int32_t> ids;
  for (const OrderedJson& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab)
      fields.fail(name, "has an entry that is no token id of this model");
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// The text: "prompt" (a string), "messages" or "tokens"; and "continuation" behind it.
std::vector<int32_t> read_ids(Fields& fields, const ServedModel& model) {
  const auto prompt = fields.text("prompt");
  const OrderedJson* messages = fields.find("messages");
  const OrderedJson* tokens = fields.find("tokens");
  const OrderedJson* continuation = fields.find("continuation");
  if ((prompt ? 1 : 0) + (messages != nullptr) + (tokens != nullptr) != 1)
    fields.fail("prompt", "or 'messages' or 'tokens' must be given, and only one of them");
  std::vector<int32_t> ids;
  if (prompt) {
    ids = prompt_ids(model, *prompt, true, true, "prompt");
  } else if (messages != nullptr) {
    ids = chat_prompt(model, checked_messages(*messages, fields), {}, true);
  } else {
    ids = ids_of(fields, "tokens", *tokens, model.spec().vocab);
  }
  if (continuation != nullptr) {
    const std::vector<int32_t> more = ids_of(fields, "continuation", *continuation, model.spec().vocab);
    ids.insert(ids.end(), more.begin(), more.end());
  }
  if (ids.empty()) fields.fail("prompt", "has no tokens");
  return ids;
}

Json rounded(const std::vector<float>& weights) {
  Json list = Json::array();
  for (const float weight : weights) list.push_back(std::round(static_cast<double>(weight) * 1e6) / 1e6);
  return list;
}

Json attended(ServedModel& model, Fields& fields, const std::atomic<bool>& left) {
  std::vector<int32_t> ids = read_ids(fields, model);
  const int64_t length = std::ssize(ids);
  int64_t position = fields.integer("position", -length, length - 1).value_or(-1);
  if (position < 0) position += length;
  const Spec& spec = model.spec();
  const auto layer = fields.integer("layer", 0, std::max<int64_t>(0, spec.layers() - 1));
  fields.finish();
  if (model.context() > 0 && length > model.context())
    throw ApiError(400,
                   fmt::format("This model's context has {} tokens, and the text has {}.", model.context(), length),
                   "prompt", "context_length_exceeded");
  if (spec.causal()) ids.resize(static_cast<size_t>(position) + 1);
  const int64_t heads = spec.stack.block.attention.heads;
  const int64_t count = (layer ? 1 : spec.layers()) * heads * std::ssize(ids);
  if (count > most_weights)
    throw ApiError(400,
                   fmt::format("{} weights are more than the {} of an answer; {}.", count, most_weights,
                               layer ? "shorten the text" : "ask for one 'layer'"),
                   "layer", "too_many_weights");
  Json layers = Json::array();
  std::vector<LayerAttention> found;
  in_words_of_api([](const std::string& name) { return std::string(name == "text" ? "prompt" : ""); },
                  [&] { found = model.attention(ids, position, layer, left); });
  for (const LayerAttention& one : found) {
    Json of_heads = Json::array();
    for (const std::vector<float>& weights : one.heads) of_heads.push_back(rounded(weights));
    layers.push_back({{"layer", one.layer}, {"heads", of_heads}});
  }
  Json tokens = Json::array();
  for (const int32_t id : ids)
    tokens.push_back({{"id", id},
                      {"text", token_text(model.tokenizer(), id, tokens.empty())},
                      {"special", model.tokenizer().is_special(id)}});
  return {{"model", model.name()}, {"position", position}, {"tokens", tokens},
          {"layers", layers},      {"head_count", heads},  {"layer_count", spec.layers()}};
}

}  // namespace

void add_attention(Routes& routes, ModelStore& models) {
  routes.add("POST", "/attention", [&models](const Call& call) { run_long_task(call, models, attended); });
}

}  // namespace qkv
