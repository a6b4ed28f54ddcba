#include "qkv/serve/handlers.h"
#include "qkv/serve/metrics.h"

namespace qkv {

std::string model_metrics(const ModelStore& models) {
  struct Figure {
    const char* name;
    const char* kind;
    const char* help;
    int64_t EngineStats::*value;
  };
  static constexpr Figure figures[] = {
      {"qkv_requests_running", "gauge", "Sequences that run together.", &EngineStats::running},
      {"qkv_requests_waiting", "gauge", "Requests that wait for their turn.", &EngineStats::waiting},
      {"qkv_cache_pages", "gauge", "Pages of the key/value cache.", &EngineStats::pages},
      {"qkv_cache_pages_held", "gauge", "Pages that running sequences hold.", &EngineStats::pages_held},
      {"qkv_requests_total", "counter", "Requests that the engine took.", &EngineStats::requests},
      {"qkv_requests_cancelled_total", "counter", "Continuations whose client left.", &EngineStats::cancelled},
      {"qkv_requests_failed_total", "counter", "Continuations that failed.", &EngineStats::failed},
      {"qkv_prompt_tokens_total", "counter", "Tokens of prompts, shared ones included.", &EngineStats::prompt_tokens},
      {"qkv_shared_tokens_total", "counter", "Tokens of prompts found in the cache.", &EngineStats::shared_tokens},
      {"qkv_generated_tokens_total", "counter", "Tokens written.", &EngineStats::generated_tokens},
      {"qkv_guessed_tokens_total", "counter", "Tokens guessed ahead.", &EngineStats::guessed_tokens},
      {"qkv_accepted_tokens_total", "counter", "Guesses that were right.", &EngineStats::accepted_tokens},
      {"qkv_steps_total", "counter", "Passes of the model.", &EngineStats::steps},
      {"qkv_replays_total", "counter", "Passes that a GPU had recorded.", &EngineStats::replays},
  };
  std::string out;
  MetricText memory(out, "qkv_model_bytes", "gauge", "Memory of weights and cache, by estimate.");
  for (const auto& model : models.all())
    memory.add("model=" + quoted_label(model->name()), static_cast<double>(model->bytes()));
  MetricText tasks(out, "qkv_tasks_waiting", "gauge", "Tasks that wait for their turn.");
  for (const auto& model : models.all())
    tasks.add("model=" + quoted_label(model->name()), static_cast<double>(model->waiting_tasks()));
  for (const Figure& figure : figures) {
    MetricText metric(out, figure.name, figure.kind, figure.help);
    for (const auto& model : models.all())
      if (const auto stats = model->engine_stats())
        metric.add("model=" + quoted_label(model->name()), static_cast<double>((*stats).*figure.value));
  }
  return out;
}

}  // namespace qkv
