#include "qkv/cuda/emulated/recording.h"

#include "qkv/cuda/emulated/memory.h"
#include "qkv/cuda/recorded_memory.h"
#include "qkv/cuda/runtime.h"

#include <vector>

namespace qkv::cuda {

struct Graph::Recording {
  std::shared_ptr<RecordedMemory> memory = std::make_shared<RecordedMemory>(allocate_now, release_now);
  std::vector<std::function<void()>> steps;
};

namespace emulated {
namespace {

// What this thread records.
struct Current {
  RecordedMemory* memory = nullptr;
  std::vector<std::function<void()>>* steps = nullptr;
};
thread_local Current current;

}  // namespace

void do_or_record(std::function<void()> step) {
  if (current.steps == nullptr) return step();
  current.steps->push_back(std::move(step));
}
void refuse_to_record(const char* what) {
  if (current.steps != nullptr) throw NotRecordable{what};
}
RecordedMemory* recorded_memory() { return current.memory; }

}  // namespace emulated

Graph::Graph() = default;
Graph::~Graph() = default;

bool Graph::record(const std::function<void()>& work) {
  recording_.reset();
  auto recording = std::make_unique<Recording>();
  struct End {
    ~End() { emulated::current = {}; }
  };
  try {
    const End end;
    emulated::current = {recording->memory.get(), &recording->steps};
    work();
  } catch (const NotRecordable& refusal) {
    say_why_not_recorded(refusal.what);
    return false;
  }
  recording_ = std::move(recording);
  return true;
}

void Graph::replay() {
  for (const auto& step : recording_->steps) step();
}

}  // namespace qkv::cuda
