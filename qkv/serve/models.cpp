// Which models there are.
#include "qkv/serve/answers.h"
#include "qkv/serve/handlers.h"

namespace qkv {
namespace {

// What may be asked of it: "chat" and "write" of text models, and the names of the tasks' paths.
Json tasks_of(const ServedModel& model) {
  Json tasks = Json::array();
  if (model.chats()) tasks.push_back("chat");
  if (model.writes()) tasks.push_back("write");
  switch (model.spec().task) {
    case Task::sequence_to_sequence:
      tasks.push_back("translate");
      break;
    case Task::masked_lm:
    case Task::pretraining:
      if (model.tokenizer().special().mask) tasks.push_back("fill");
      break;
    case Task::sequence_classification:
      tasks.push_back("classify");
      break;
    case Task::token_classification:
      tasks.push_back("tag");
      break;
    case Task::question_answering:
      tasks.push_back("answer");
      break;
    default:
      break;
  }
  tasks.push_back("embed");
  return tasks;
}

Json mask_of(const ServedModel& model) {
  const auto mask = model.tokenizer().special().mask;
  return mask ? Json(model.tokenizer().token(*mask)) : Json();
}

Json describe(const ServedModel& model, int64_t since) {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", since},
          {"owned_by", "qkv"},
          {"task", name_of(model.spec().task)},
          {"writes", model.writes()},
          {"tasks", tasks_of(model)},
          {"mask", mask_of(model)},
          {"attention", AttentionReader::can_read(model.spec())},
          {"context", model.context()},
          {"sampling", model.sampling().json()},
          {"loaded", model.loaded()}};
}

}  // namespace

void add_models(Routes& routes, ModelStore& models) {
  const int64_t since = unix_time();
  routes.add("GET", "/v1/models", [&models, since](const Call& call) {
    Json data = Json::array();
    for (const auto& model : models.all()) data.push_back(describe(*model, since));
    send_json(*call.reply, {{"object", "list"}, {"data", data}});
  });
  routes.add("GET", "/v1/models/{model}", [&models, since](const Call& call) {
    send_json(*call.reply, describe(models.find(call.values.at("model")), since));
  });
}

}  // namespace qkv
