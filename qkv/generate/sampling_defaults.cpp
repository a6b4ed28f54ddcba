#include "qkv/generate/sampling_defaults.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace qkv {

SamplingDefaults SamplingDefaults::read(const fs::path& model) {
  SamplingDefaults said;
  const fs::path file = model / "generation_config.json";
  if (!fs::exists(file)) return said;
  const Config config(read_json(file), file.string());
  const auto number = [&](const char* key, double lowest, double highest, std::optional<double>& value) {
    if (!config.has(key)) return;
    value = config.number(key, 0);
    if (!(*value >= lowest && *value <= highest))
      config.fail(key, fmt::format("must be between {} and {}, not {}", lowest, highest, *value));
  };
  number("temperature", 0, 100, said.temperature);
  number("top_p", 0, 1, said.top_p);
  number("min_p", 0, 0.999, said.min_p);
  number("repetition_penalty", 0.01, 100, said.repetition_penalty);
  if (config.has("top_k"))
    said.top_k = std::max<int64_t>(0, config.integer("top_k", 0, -1, std::numeric_limits<int32_t>::max()));
  return said;
}

void SamplingDefaults::apply(GenerationOptions& options) const {
  if (temperature) set_temperature(*temperature, options);
  if (top_p) set_top_p(*top_p, options);
  if (min_p) options.min_p = static_cast<float>(*min_p);
  if (repetition_penalty) options.repetition_penalty = static_cast<float>(*repetition_penalty);
  if (top_k) options.top_k = *top_k;
}

Json SamplingDefaults::json() const {
  Json said = Json::object();
  if (temperature) said["temperature"] = *temperature;
  if (top_p) said["top_p"] = *top_p;
  if (min_p) said["min_p"] = *min_p;
  if (repetition_penalty) said["repetition_penalty"] = *repetition_penalty;
  if (top_k) said["top_k"] = *top_k;
  return said;
}

void set_temperature(double temperature, GenerationOptions& options) {
  options.sample = temperature >= 1e-3;
  options.temperature = options.sample ? static_cast<float>(temperature) : 1;
}

void set_top_p(double top_p, GenerationOptions& options) { options.top_p = std::max(static_cast<float>(top_p), 1e-6F); }

}  // namespace qkv
