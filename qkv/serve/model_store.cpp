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

Lease::~Lease() {
  if (entered_) store_.give_back(*this);
}

void Lease::enter() { store_.enter(*this); }

void Lease::with_engine(std::function<void(Engine&)> work, std::function<void(std::exception_ptr)> failed) {
  model_.check_writes();
  if (store_.enter_at_once(*this))
    if (Engine* engine = model_.loaded_engine()) return work(*engine);
  const bool queued = model_.run([self = shared_from_this(), work = std::move(work), failed = std::move(failed)] {
    Engine* engine = nullptr;
    try {
      self->enter();
      engine = &self->model_.engine();
    } catch (...) {
      return failed(std::current_exception());
    }
    work(*engine);
  });
  if (!queued) throw overloaded();
}

ModelStore::ModelStore(const std::vector<std::string>& models, const ModelOptions& options, uint64_t memory,
                       std::chrono::milliseconds patience)
    : memory_(memory > 0 ? memory : usual_memory()), patience_(patience) {
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

ModelStore::~ModelStore() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

ServedModel& ModelStore::find(const std::string& name) const {
  const auto found =
      name.empty() ? models_.begin()
                   : std::find_if(models_.begin(), models_.end(), [&](const auto& m) { return m->name() == name; });
  if (found != models_.end()) return **found;
  std::vector<std::string> names;
  for (const auto& model : models_) names.push_back(model->name());
  const std::string close = nearest(name, names);
  throw ApiError(404,
                 fmt::format("The model '{}' does not exist here.{} GET /v1/models lists those that do.", name,
                             close.empty() ? "" : fmt::format(" Did you mean '{}'?", close)),
                 "model", "model_not_found");
}

std::shared_ptr<Lease> ModelStore::lease(const std::string& name) {
  ServedModel& model = find(name);
  const std::lock_guard lock(mutex_);
  uses_[&model].last = ++given_;
  return std::make_shared<Lease>(*this, model, given_);
}

bool ModelStore::may_enter(const Lease& lease) {
  return (loading_.empty() && line_.empty()) || lease.number_ <= uses_[&lease.model_].turn;
}

bool ModelStore::enter_at_once(Lease& lease) {
  const std::lock_guard lock(mutex_);
  if (lease.entered_) return true;
  // Who still has to wait for the model's worker keeps nobody from it.
  if (lease.model_.loaded_engine() == nullptr || !may_enter(lease)) return false;
  ++uses_[&lease.model_].entered;
  return lease.entered_ = true;
}

void ModelStore::enter(Lease& lease) {
  std::unique_lock lock(mutex_);
  if (lease.entered_) return;
  const ServedModel* const model = &lease.model_;
  if (!may_enter(lease)) {
    line_.push_back(model);
    const bool turn =
        changed_.wait_for(lock, patience_, [&] { return ending_ || (loading_.empty() && line_.front() == model); });
    line_.erase(std::find(line_.begin(), line_.end(), model));
    changed_.notify_all();
    if (!turn || ending_)
      throw ApiError(
          503, fmt::format("The model '{}' waits for its turn, as others are in use. Try again later.", model->name()),
          "", "model_waits");
    uses_[model].turn = given_;
  }
  ++uses_[model].entered;
  lease.entered_ = true;
}

void ModelStore::give_back(const Lease& lease) {
  {
    const std::lock_guard lock(mutex_);
    --uses_[&lease.model_].entered;
  }
  changed_.notify_all();
}

// Whether nobody uses the model's weights. Who asks for room uses none of its own yet.
bool ModelStore::is_idle(const ServedModel& model, const ServedModel& asking) {
  const Use& use = uses_[&model];
  return use.entered <= (use.waiting || &model == &asking ? 1 : 0);
}

// Unloads those that are idle, the longest unused first, until the bytes fit.
bool ModelStore::fits(const ServedModel& asking, uint64_t bytes) {
  while (true) {
    uint64_t taken = 0;
    ServedModel* victim = nullptr;
    for (const auto& model : models_) {
      taken += model->bytes();
      if (model->loaded() && is_idle(*model, asking) &&
          (victim == nullptr || uses_[model.get()].last < uses_[victim].last))
        victim = model.get();
    }
    if (taken <= memory_ && bytes <= memory_ - taken) return true;
    if (victim == nullptr) return false;
    victim->unload();
  }
}

void ModelStore::make_room(ServedModel& asking, uint64_t bytes) {
  if (bytes > memory_)
    throw Error(asking.name(),
                fmt::format("needs {} for weights and cache, {} more than there are", gigabytes(bytes),
                            gigabytes(bytes - memory_)),
                asking.memory_advice(memory_));
  std::unique_lock lock(mutex_);
  if (!loading_.empty() || !fits(asking, bytes)) {
    loading_.push_back(&asking);
    uses_[&asking].waiting = true;
    changed_.notify_all();
    const bool room = changed_.wait_for(
        lock, patience_, [&] { return ending_ || (loading_.front() == &asking && fits(asking, bytes)); });
    loading_.erase(std::find(loading_.begin(), loading_.end(), &asking));
    uses_[&asking].waiting = false;
    changed_.notify_all();
    if (!room || ending_)
      throw ApiError(503,
                     fmt::format("The model '{}' needs {}, and models in use have taken too much of {}. Try again "
                                 "later.",
                                 asking.name(), gigabytes(bytes), gigabytes(memory_)),
                     "", "model_waits");
  }
  asking.took(bytes);
  uses_[&asking].turn = given_;
}

}  // namespace qkv
