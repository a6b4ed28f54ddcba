#include "qkv/serve/task_call.h"

#include "qkv/core/error.h"
#include "qkv/serve/answers.h"
#include "qkv/serve/api_error.h"

namespace qkv {
namespace {

// What is wrong with a text or an option, told of the field that it came from.
ApiError as_asked(const Error& error, const OrderedJson& body) {
  if (error.kind() != Error::Kind::user || error.where() == "model")
    return {500, fmt::format("The model has failed: {}.", error.reason())};
  struct Word {
    std::string_view where;
    std::vector<const char*> fields;
  };
  static const Word words[] = {{"text", {"input", "prompt", "messages", "tokens"}},
                               {"text and pair", {"input"}},
                               {"target", {"targets"}},
                               {"--from, --to", {"from", "to"}},
                               {"--from", {"from"}},
                               {"--to", {"to"}}};
  std::string field = body.contains(error.where()) ? error.where() : "";
  for (const Word& word : words)
    for (const char* name : word.fields)
      if (field.empty() && word.where == error.where() && body.contains(name)) field = name;
  if (field.empty()) return {400, error.reason()};
  return {400, fmt::format("'{}': {}.", field, error.reason()), field};
}

}  // namespace

void run_task(const Call& call, ModelStore& models, std::function<Json(ServedModel&, Fields&)> work) {
  run_long_task(call, models, [work = std::move(work)](ServedModel& model, Fields& fields, const std::atomic<bool>&) {
    return work(model, fields);
  });
}

void run_long_task(const Call& call, ModelStore& models,
                   std::function<Json(ServedModel&, Fields&, const std::atomic<bool>&)> work) {
  auto body = std::make_shared<const OrderedJson>(parse_body(call.request->body));
  std::shared_ptr<Lease> lease = models.lease(Fields(*body).text("model").value_or(""));
  auto left = std::make_shared<std::atomic<bool>>(false);
  ServedModel& model = lease->model();
  const bool queued = model.run([reply = call.reply, body, lease, left, work = std::move(work)] {
    if (*left) return;
    answer_errors(*reply, [&] {
      Fields fields(*body);
      fields.ignore({"model", "user"});
      lease->enter();
      if (*left) return;
      try {
        const Json answer = work(lease->model(), fields, *left);
        if (!*left) send_json(*reply, answer);
      } catch (const Error& error) {
        throw as_asked(error, *body);
      }
    });
  });
  if (!queued) throw overloaded();
  call.reply->on_abandoned([left] { *left = true; });
}

std::vector<std::string> input_texts(Fields& fields) {
  fields.require("input");
  std::vector<std::string> texts = *fields.texts("input", most_inputs);
  if (texts.empty()) fields.fail("input", "must not be empty");
  return texts;
}

Json list_answer(const ServedModel& model, Json data, int64_t prompt_tokens) {
  for (size_t i = 0; i < data.size(); ++i) data[i]["index"] = i;
  return {{"object", "list"},
          {"model", model.name()},
          {"data", std::move(data)},
          {"usage", {{"prompt_tokens", prompt_tokens}, {"total_tokens", prompt_tokens}}}};
}

int64_t token_count(std::span<const Row> rows) {
  int64_t count = 0;
  for (const Row& row : rows) count += std::ssize(row.ids);
  return count;
}

}  // namespace qkv
