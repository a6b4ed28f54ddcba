// The models of a server: found by name, loaded when somebody asks, unloaded by least use when memory runs short.
#pragma once

#include "qkv/serve/served_model.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class ModelStore;

// Somebody's use of a model: what its files say at once, its weights from when it has entered. Until the lease ends
// they stay in memory then.
class Lease : public std::enable_shared_from_this<Lease> {
 public:
  Lease(ModelStore& store, ServedModel& model, uint64_t number) : store_(store), model_(model), number_(number) {}
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ServedModel& model() const { return model_; }

  // From the model's worker, before the weights are used: waits while it is another model's turn. Throws ApiError 503
  // when that takes too long.
  void enter();
  // Calls `work` with the engine: at once where it is loaded and the model's turn, else from the worker's thread;
  // `failed` where it cannot be loaded. Throws ApiError for a model that does not write, and when too much waits.
  void with_engine(std::function<void(Engine&)> work, std::function<void(std::exception_ptr)> failed);

 private:
  friend class ModelStore;
  ModelStore& store_;
  ServedModel& model_;
  uint64_t number_;  // how many leases were given before it, and it
  bool entered_ = false;
};

class ModelStore {
 public:
  // `models`: paths, or NAME=PATH. A name is the path's last part without .gguf. `memory`: bytes that all models
  // together may take; 0: four fifths of the machine's. `patience`: how long a request waits for a model's turn. Throws
  // Error for a path without a model and for a name given twice.
  ModelStore(const std::vector<std::string>& models, const ModelOptions& options, uint64_t memory = 0,
             std::chrono::milliseconds patience = std::chrono::seconds(60));
  ~ModelStore();  // who waits is told that the server ends

  // The model of a name; "" is the first. Throws ApiError 404 when there is none.
  ServedModel& find(const std::string& name) const;
  std::shared_ptr<Lease> lease(const std::string& name);

  const std::vector<std::unique_ptr<ServedModel>>& all() const { return models_; }
  uint64_t memory() const { return memory_; }

 private:
  friend class Lease;
  struct Use {
    int64_t entered = 0;   // leases
    bool waiting = false;  // one of them for room: it uses nothing meanwhile
    uint64_t last = 0;     // the latest lease
    uint64_t turn = 0;     // the latest lease that may enter though others wait: it came before the turn began
  };
  bool may_enter(const Lease& lease);
  bool enter_at_once(Lease& lease);
  void enter(Lease& lease);
  void give_back(const Lease& lease);
  void make_room(ServedModel& model, uint64_t bytes);
  bool fits(const ServedModel& asking, uint64_t bytes);
  bool is_idle(const ServedModel& model, const ServedModel& asking);

  // Where memory is short, models take turns: while one waits for room, no others are entered, so that those in use
  // become idle; then whoever came meanwhile has its turn, with all leases that were given before.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const ServedModel*, Use> uses_;
  std::deque<const ServedModel*> loading_;  // entered, and waiting for room
  std::deque<const ServedModel*> line_;     // waiting to be entered
  uint64_t given_ = 0;
  uint64_t memory_;
  std::chrono::milliseconds patience_;
  bool ending_ = false;
  std::vector<std::unique_ptr<ServedModel>> models_;
};

}  // namespace qkv
