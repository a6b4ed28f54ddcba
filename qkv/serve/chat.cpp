// OpenAI's chat: a conversation becomes a prompt by the checkpoint's own template, and the answer a message.
#include "qkv/core/error.h"
#include "qkv/serve/chat_messages.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/response_format.h"
#include "qkv/serve/summing_up.h"
#include "qkv/serve/text_job.h"
#include "qkv/serve/tool_calls.h"

#include <algorithm>

namespace qkv {
namespace {

class ChatForm : public AnswerForm {
 public:
  ChatForm(std::string model, ToolCalls calls, bool log_probabilities)
      : model_(std::move(model)), calls_(std::move(calls)), log_probabilities_(log_probabilities) {}

  Json whole(std::span<const Choice* const> choices, const Usage& usage) override {
    Json all = Json::array();
    for (const Choice* choice : choices) {
      const ToolCalls::Answer answer = calls_.read(choice->text);
      Json message = {{"role", "assistant"}, {"content", answer.content}, {"refusal", nullptr}};
      if (!answer.calls.empty()) {
        message["tool_calls"] = answer.calls;
        if (answer.content.empty()) message["content"] = nullptr;
      }
      all.push_back({{"index", choice->index},
                     {"message", message},
                     {"logprobs", scores_of(choice->tokens)},
                     {"finish_reason", answer.calls.empty() ? choice->finish : "tool_calls"}});
    }
    Json answer = frame("chat.completion", std::move(all));
    answer["usage"] = to_json(usage);
    return answer;
  }
  std::vector<Json> opening(const Choice& choice) override {
    return {chunk(choice, {{"role", "assistant"}, {"content", ""}})};
  }
  // What may become a call is held back.
  Json piece(const Choice& choice, const std::string&, std::span<const TokenText> tokens) override {
    Json event = chunk(choice, {{"content", grown(choice, calls_.certain(choice.text))}});
    event["choices"][0]["logprobs"] = scores_of(tokens);
    return event;
  }
  std::vector<Json> closing(const Choice& choice) override {
    std::vector<Json> events;
    const ToolCalls::Answer answer = calls_.read(choice.text);
    const std::string rest = answer.calls.empty() ? grown(choice, choice.text.size()) : "";
    if (!rest.empty()) events.push_back(chunk(choice, {{"content", rest}}));
    if (!answer.calls.empty()) {
      Json calls = answer.calls;
      for (size_t i = 0; i < calls.size(); ++i) calls[i]["index"] = i;
      events.push_back(chunk(choice, {{"tool_calls", calls}}));
    }
    events.push_back(chunk(choice, Json::object()));
    events.back()["choices"][0]["finish_reason"] = answer.calls.empty() ? choice.finish : "tool_calls";
    return events;
  }
  Json usage(const Usage& usage) override {
    Json last = frame("chat.completion.chunk", Json::array());
    last["usage"] = to_json(usage);
    return last;
  }

 private:
  Json frame(const char* object, Json choices) const {
    return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_}, {"choices", std::move(choices)}};
  }
  Json chunk(const Choice& choice, const Json& delta) const {
    return frame("chat.completion.chunk",
                 {{{"index", choice.index}, {"delta", delta}, {"logprobs", nullptr}, {"finish_reason", nullptr}}});
  }
  // The choice's text that the stream does not have yet, up to byte `end`.
  std::string grown(const Choice& choice, size_t end) {
    size_t& told = told_[choice.index];
    if (end <= told) return "";
    std::string text = choice.text.substr(told, end - told);
    told = end;
    return text;
  }
  Json scores_of(std::span<const TokenText> tokens) const {
    if (!log_probabilities_) return nullptr;
    const auto entry = [](const std::string& text, float score) {
      Json bytes = Json::array();
      for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
      // A part of a character has no text of its own.
      if (text.find("\xEF\xBF\xBD") != std::string::npos) bytes = nullptr;
      return Json{{"token", text}, {"logprob", std::max(score, least_log_probability)}, {"bytes", bytes}};
    };
    Json content = Json::array();
    for (const TokenText& token : tokens) {
      Json one = entry(token.text, token.log_probability.value_or(0));
      one["id"] = token.id;
      one["top_logprobs"] = Json::array();
      for (const auto& [text, score] : token.likeliest) one["top_logprobs"].push_back(entry(text, score));
      content.push_back(std::move(one));
    }
    return {{"content", content}, {"refusal", nullptr}};
  }

  std::string id_ = fresh_id("chatcmpl-");
  int64_t created_ = unix_time();
  std::string model_;
  ToolCalls calls_;
  bool log_probabilities_;
  std::map<int64_t, size_t> told_;
};

void read_log_probabilities(Fields& fields, Writing& writing) {
  writing.log_probabilities = fields.flag("logprobs").value_or(false);
  const auto alternatives = fields.integer("top_logprobs", 0, most_alternatives);
  if (alternatives && !writing.log_probabilities) fields.fail("top_logprobs", "needs 'logprobs' to be true");
  writing.likeliest = alternatives.value_or(0);
}

// "tools" and "tool_choice": what the template is told of. A call that must be made is held to its function's schema.
OrderedJson read_tools(Fields& fields, ServedModel& model, Writing& writing) {
  OrderedJson tools;
  if (const OrderedJson* given = fields.find("tools")) tools = checked_tools(*given, fields);
  const OrderedJson* choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return tools;
  if (*choice == "none") return nullptr;
  std::string name;
  if (choice->is_object()) {
    const OrderedJson function = choice->value("function", OrderedJson());
    if (!function.is_object() || !function.value("name", OrderedJson()).is_string())
      fields.fail("tool_choice", "must name a function");
    name = function["name"].get<std::string>();
  } else if (*choice != "required") {
    fields.fail("tool_choice", "must be 'auto', 'none', 'required' or name a function");
  }
  if (tools.is_null()) fields.fail("tool_choice", "needs 'tools'");
  const OrderedJson calls = ToolCalls::schema_of_calls(tools, name);
  hold_to(writing, model, "tools", [&] { return json_schema_grammar(calls); });
  return tools;
}

void chat(const Call& call, ModelStore& models) {
  const OrderedJson body = parse_body(call.request->body);
  Fields fields(body);
  std::shared_ptr<Lease> lease = models.lease(fields.text("model").value_or(""));
  ServedModel& model = lease->model();
  Writing writing = read_writing(fields, model);
  const auto longest = fields.integer("max_completion_tokens", 0, INT32_MAX);
  const auto older = fields.integer("max_tokens", 0, INT32_MAX);
  writing.options.max_new_tokens = longest.value_or(older.value_or(model.context()));
  writing.prompt_field = "messages";
  read_log_probabilities(fields, writing);
  std::vector<int32_t>& ends = writing.options.end_ids;
  if (!ends.empty())
    for (const int32_t id : turn_ends(model.tokenizer())) ends.push_back(id);
  read_response_format(fields, model, writing);
  ChatOptions options{.tools = read_tools(fields, model, writing)};
  if (const OrderedJson* variables = fields.find("chat_template_kwargs")) {
    if (!variables->is_object()) fields.fail("chat_template_kwargs", "must be an object");
    options.variables = *variables;
  }
  const OrderedJson messages = checked_messages(fields.require("messages"), fields);
  fields.ignore({"parallel_tool_calls", "reasoning_effort", "verbosity"});
  fields.finish();
  auto form = std::make_unique<ChatForm>(model.name(), ToolCalls(options.tools), writing.log_probabilities);
  const bool sums_up = writing.when_full == FullContext::summarise;
  const bool must_fit = writing.when_full == FullContext::refuse;
  const GenerationOptions how = writing.options;
  const auto job = std::make_shared<TextJob>(call, lease, std::move(writing), std::move(form));
  const auto answer = [job](std::vector<int32_t> prompt) {
    if (prompt.empty()) throw ApiError(400, "'messages' give an empty prompt.", "messages");
    std::vector<TextJob::Prompt> prompts;
    prompts.push_back({.ids = std::move(prompt)});
    job->start(std::move(prompts));
  };
  if (!sums_up) return answer(chat_prompt(model, messages, options, must_fit));
  std::make_shared<SummingUp>(call, lease, messages, std::move(options), how, answer)->start();
}

}  // namespace

void add_chat(Routes& routes, ModelStore& models) {
  routes.add("POST", "/v1/chat/completions", [&models](const Call& call) { chat(call, models); });
}

}  // namespace qkv
