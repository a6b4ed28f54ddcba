// A run directory: a Hugging Face model directory that also holds run.toml, metrics.jsonl, report.html and state/.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"
#include "qkv/io/hugging_face.h"
#include "qkv/train/optimizer.h"

#include <string>
#include <vector>

namespace qkv {

// Where a run stands, besides parameters and optimizer.
struct RunState {
  int64_t step = 0;        // steps done
  double best_loss = 0;    // lowest validation loss
  int64_t best_step = -1;  // when; -1: no evaluation yet
  int64_t evaluations_since_best = 0;
  // Since the last line of metrics, so that a resumed run writes the lines of the straight one.
  double loss_since_line = 0;
  int64_t steps_since_line = 0;
};

class RunDirectory {
 public:
  // Creates the directory if it is not there, and removes what a killed run left half-written. Throws Error when it
  // cannot be written.
  explicit RunDirectory(fs::path path);

  const fs::path& path() const { return path_; }
  bool has_state() const;

  // Writes parameters, optimizer and state as one file, whole or not at all.
  void save_state(Model& model, const Optimizer& optimizer, const RunState& state) const;
  // Reads it back. Throws Error when it belongs to another model or optimizer, or is damaged; then nothing has changed.
  RunState load_state(Model& model, Optimizer& optimizer) const;

  // One JSON object a line.
  void append_metrics(const Json& line) const;
  // What metrics.jsonl holds up to `last_step`; what stands behind is removed from the file: a resumed run writes it
  // again.
  std::vector<Json> metrics_until(int64_t last_step) const;

 private:
  fs::path state_path() const { return path_ / "state" / "state.safetensors"; }
  fs::path path_;
};

}  // namespace qkv
