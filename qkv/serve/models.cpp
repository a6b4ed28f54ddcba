// Which models there are.
#include "qkv/serve/answers.h"
#include "qkv/serve/handlers.h"

namespace qkv {
namespace {

Json describe(const ServedModel& model, int64_t since) {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", since},
          {"owned_by", "qkv"},
          {"task", name_of(model.spec().task)},
          {"writes", model.writes()},
          {"context", model.context()},
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
    send_json(*call.reply, describe(models.lease(call.values.at("model"))->model(), since));
  });
}

}  // namespace qkv
