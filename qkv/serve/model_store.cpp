#include "qkv/serve/model_store.h"

#include "qkv/core/error.h"
#include "qkv/generate/model_size.h"
#include "qkv/serve/api_error.h"

#include <algorithm>

namespace qkv {
namespace {

std::pair<std::string, fs::path> name_and_path(const std::string& given) {
  const size_t equals = given.find('=');
  if (equals != std::string::npos && !fs::exists(given)) return {given.substr(0, equals), given.substr(equals + 1)};
  const fs::path path = fs::weakly_canonical(given);
  return {path.extension() == ".gguf" ? path.stem().string() : path.filename().string(), given};
}

}  // namespace

Lease::~Lease() { store_.give_back(model_); }

ModelStore::ModelStore(const std::vector<std::string>& models, const ModelOptions& options, uint64_t memory)
    : memory_(memory > 0 ? memory : usual_memory()) {
  for (const std::string& given : models) {
    auto [name, path] = name_and_path(given);
    if (name.empty()) throw Error(given, "has no name", "give one: NAME=PATH");
    for (const auto& other : models_)
      if (other->name() == name)
        throw Error(given, fmt::format("is called '{}', and so is another model", name), "give it a name: NAME=PATH");
    models_.push_back(std::make_unique<ServedModel>(
        name, path, options, [this](ServedModel& model, uint64_t bytes) { make_room(model, bytes); }));
  }
  if (models_.empty()) throw Error("serve", "needs a model");
}

std::shared_ptr<Lease> ModelStore::lease(const std::string& name) {
  const auto found =
      name.empty() ? models_.begin()
                   : std::find_if(models_.begin(), models_.end(), [&](const auto& m) { return m->name() == name; });
  if (found == models_.end()) {
    std::vector<std::string> names;
    for (const auto& model : models_) names.push_back(model->name());
    const std::string close = nearest(name, names);
    throw ApiError(404,
                   fmt::format("The model '{}' does not exist here.{} GET /v1/models lists those that do.", name,
                               close.empty() ? "" : fmt::format(" Did you mean '{}'?", close)),
                   "model", "model_not_found");
  }
  const std::lock_guard lock(mutex_);
  Use& use = uses_[found->get()];
  ++use.leases;
  use.last = ++given_;
  return std::make_shared<Lease>(*this, **found);
}

void ModelStore::give_back(ServedModel& model) {
  const std::lock_guard lock(mutex_);
  --uses_[&model].leases;
}

// Unloads those that nobody uses, the longest unused first, until the bytes fit.
void ModelStore::make_room(ServedModel& asking, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  while (true) {
    uint64_t taken = 0;
    ServedModel* victim = nullptr;
    for (const auto& model : models_) {
      taken += model->bytes();
      const Use& use = uses_[model.get()];
      if (model.get() != &asking && model->loaded() && use.leases == 0 &&
          (victim == nullptr || use.last < uses_[victim].last))
        victim = model.get();
    }
    if (taken <= memory_ && bytes <= memory_ - taken) return;
    if (victim != nullptr) {
      victim->unload();
      continue;
    }
    if (taken > 0)
      throw ApiError(503, fmt::format("The model '{}' needs {}, and models in use have taken {} of {}.", asking.name(),
                                      gigabytes(bytes), gigabytes(taken), gigabytes(memory_)));
    throw Error(asking.name(),
                fmt::format("needs {} for weights and cache, {} more than there are", gigabytes(bytes),
                            gigabytes(bytes - memory_)),
                asking.memory_advice(memory_));
  }
}

}  // namespace qkv
