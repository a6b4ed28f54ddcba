// One request at a time, for models whose state is more than keys and values.
#pragma once

#include "qkv/generate/decoding.h"
#include "qkv/generate/scheduler.h"

#include <optional>

namespace qkv {

class SoloScheduler : public Scheduler {
 public:
  SoloScheduler(Model& model, const EngineOptions& options);
  bool step() override;
  void fail_all(const std::string& message) override;

 private:
  struct Row {
    std::vector<int32_t> ids;
    Random random;
    bool done = false;
  };
  void begin();
  void write();
  void end(Finish finish, const std::string& message = "");

  Model& model_;
  Group group_;        // what runs; without a request: nothing
  size_t prompt_ = 0;  // ids that its rows begin with
  int64_t limit_ = 0;
  std::optional<Decoding> decoding_;
  std::vector<Row> rows_;
};

}  // namespace qkv
