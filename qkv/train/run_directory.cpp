#include "qkv/train/run_directory.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"

#include <bit>
#include <fstream>
#include <set>

namespace qkv {
namespace {

// "NAME.PROCESS.partial", as AtomicFile calls a file under construction.
bool is_partial(const std::string& name) {
  constexpr std::string_view ending = ".partial";
  if (!name.ends_with(ending)) return false;
  const std::string_view front = std::string_view(name).substr(0, name.size() - ending.size());
  const size_t dot = front.rfind('.');
  return dot != std::string_view::npos && dot + 1 < front.size() &&
         front.find_first_not_of("0123456789", dot + 1) == std::string_view::npos;
}

void remove_partial_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (is_partial(entry.path().filename().string())) found.push_back(entry.path());
  for (const fs::path& path : found) fs::remove(path);
}

// A run's numbers in one tensor; the losses by their bits, as nothing may be lost.
constexpr const char* state_name = "run.state";
constexpr int64_t state_size = 6;

Tensor pack(const RunState& s) {
  return Tensor::from<int64_t>({state_size},
                               {s.step, s.best_step, s.evaluations_since_best, s.steps_since_line,
                                std::bit_cast<int64_t>(s.best_loss), std::bit_cast<int64_t>(s.loss_since_line)});
}

RunState unpack(const Tensor& packed) {
  const std::vector<int64_t> n = packed.to_vector<int64_t>();
  return {.step = n[0],
          .best_loss = std::bit_cast<double>(n[4]),
          .best_step = n[1],
          .evaluations_since_best = n[2],
          .loss_since_line = std::bit_cast<double>(n[5]),
          .steps_since_line = n[3]};
}

}  // namespace

RunDirectory::RunDirectory(fs::path path) : path_(std::move(path)) {
  std::error_code code;
  fs::create_directories(path_ / "state", code);
  if (code)
    throw Error(path_.string(), fmt::format("cannot be made: {}", code.message()),
                "choose a directory you may write to");
  write_file(path_ / "state" / ".writable", "");  // fails now rather than after the first hour
  fs::remove(path_ / "state" / ".writable");
  remove_partial_files(path_);
  remove_partial_files(path_ / "state");
}

bool RunDirectory::has_state() const { return fs::exists(state_path()); }

void RunDirectory::save_state(Model& model, const Optimizer& optimizer, const RunState& state) const {
  std::vector<NamedTensor> tensors = optimizer.state();
  tensors.push_back({state_name, pack(state)});
  model.visit([&](const std::string& name, Tensor& value, Role) {
    tensors.push_back({"model." + name, value.detach()});
  });
  write_safetensors(state_path(), tensors);
}

RunState RunDirectory::load_state(Model& model, Optimizer& optimizer) const {
  const Safetensors file(state_path());
  const auto other_model = [&](const std::string& name) {
    throw Error(path_.string(), fmt::format("holds a run of another model: '{}' does not fit", name),
                "resume with the options that the run was started with, or choose another directory");
  };
  std::set<std::string> left;
  for (const std::string& name : file.names())
    if (name.starts_with("model.")) left.insert(name);
  model.visit([&](const std::string& name, Tensor& value, Role) {
    const std::string stored = "model." + name;
    if (left.erase(stored) == 0 || file.shape(stored) != value.shape() || file.dtype(stored) != DType::f32)
      other_model(name);
  });
  if (!left.empty()) other_model(left.begin()->substr(6));
  if (!file.contains(state_name) || file.dtype(state_name) != DType::i64 || file.shape(state_name) != Shape{state_size})
    throw Error(state_path().string(), "lacks the run's step: it is damaged, or of another version of qkv",
                "start the run again in another directory");
  optimizer.load_state(file);
  model.visit([&](const std::string& name, Tensor& value, Role) {
    value.assign(file.get("model." + name));
    forget_half(value);
  });
  optimizer.restore_copies();
  return unpack(file.get(state_name));
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
