#include "qkv/train/run_directory.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"

#include <cstring>
#include <fstream>

namespace qkv {

RunDirectory::RunDirectory(fs::path path) : path_(std::move(path)) {
  std::error_code code;
  fs::create_directories(path_ / "state", code);
  if (code)
    throw Error(path_.string(), fmt::format("cannot be made: {}", code.message()),
                "choose a directory you may write to");
  write_file(path_ / "state" / ".writable", "");  // fails now rather than after the first hour
  fs::remove(path_ / "state" / ".writable");
}

bool RunDirectory::has_state() const { return fs::exists(state_path()); }

void RunDirectory::save_state(Model& model, const Optimizer& optimizer, const RunState& state) const {
  std::vector<NamedTensor> tensors = optimizer.state();
  tensors.push_back(
      {"run.step", Tensor::from<int64_t>({4}, {state.step, state.best_step, state.evaluations_since_best, 0})});
  std::vector<float> loss(2);
  std::memcpy(loss.data(), &state.best_loss, sizeof(double));
  tensors.push_back({"run.best_loss", Tensor::from<float>({2}, loss)});
  model.visit([&](const std::string& name, Tensor& value, Role) {
    tensors.push_back({"model." + name, value.detach()});
  });
  write_safetensors(state_path(), tensors);
}

RunState RunDirectory::load_state(Model& model, Optimizer& optimizer) const {
  const Safetensors file(state_path());
  model.visit([&](const std::string& name, Tensor& value, Role) {
    const std::string stored = "model." + name;
    if (!file.contains(stored) || file.shape(stored) != value.shape())
      throw Error(path_.string(), fmt::format("holds a run of another model: '{}' does not fit", name),
                  "resume with the options that the run was started with, or choose another directory");
    const Tensor saved = file.get(stored);
    std::memcpy(value.raw(), saved.raw(), static_cast<size_t>(value.numel()) * sizeof(float));
    forget_half(value);
  });
  optimizer.load_state(file);
  const std::vector<int64_t> numbers = file.get("run.step").to_vector<int64_t>();
  const std::vector<float> loss = file.get("run.best_loss").to_vector<float>();
  RunState state{numbers.at(0), 0, numbers.at(1), numbers.at(2)};
  if (loss.size() != 2) throw Error(path_.string(), "holds a damaged state");
  std::memcpy(&state.best_loss, loss.data(), sizeof(double));
  return state;
}

void RunDirectory::append_metrics(const Json& line) const {
  std::ofstream file(path_ / "metrics.jsonl", std::ios::app);
  file << line.dump() << '\n';
  file.flush();
  if (!file)
    throw Error((path_ / "metrics.jsonl").string(), "cannot be written", "free some disk space and resume the run");
}

std::vector<Json> RunDirectory::metrics_until(int64_t last_step) const {
  std::vector<Json> lines;
  std::ifstream file(path_ / "metrics.jsonl");
  std::string text;
  for (std::string line; std::getline(file, line);) {
    // A run killed while writing leaves half a line at the end.
    const Json value = Json::parse(line, nullptr, false);
    if (!value.is_object() || value.value("step", int64_t{0}) > last_step) continue;
    lines.push_back(value);
    text += line + "\n";
  }
  write_file(path_ / "metrics.jsonl", text);
  return lines;
}

}  // namespace qkv
