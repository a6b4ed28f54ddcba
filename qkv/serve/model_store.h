// The models of a server: found by name, loaded when somebody asks, unloaded by least use when memory runs short.
#pragma once

#include "qkv/serve/served_model.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class ModelStore;

// Keeps a model in memory while somebody uses it.
class Lease {
 public:
  Lease(ModelStore& store, ServedModel& model) : store_(store), model_(model) {}
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ServedModel& model() const { return model_; }

 private:
  ModelStore& store_;
  ServedModel& model_;
};

class ModelStore {
 public:
  // `models`: paths, or NAME=PATH. A name is the path's last part without .gguf. `memory`: bytes that all models
  // together may take; 0: four fifths of the machine's. Throws Error for a path without a model and for a name given
  // twice.
  ModelStore(const std::vector<std::string>& models, const ModelOptions& options, uint64_t memory = 0);

  // The model of a name; "" is the first. Throws ApiError 404 when there is none.
  std::shared_ptr<Lease> lease(const std::string& name);

  const std::vector<std::unique_ptr<ServedModel>>& all() const { return models_; }
  uint64_t memory() const { return memory_; }

 private:
  friend class Lease;
  struct Use {
    int64_t leases = 0;
    uint64_t last = 0;  // when, in leases given
  };
  void give_back(ServedModel& model);
  void make_room(ServedModel& model, uint64_t bytes);

  std::mutex mutex_;
  std::map<const ServedModel*, Use> uses_;
  uint64_t given_ = 0;
  uint64_t memory_;
  std::vector<std::unique_ptr<ServedModel>> models_;
};

}  // namespace qkv
