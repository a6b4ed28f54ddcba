#include "qkv/generate/golden.h"

#include "qkv/generate/generator.h"

#include <cmath>
#include <limits>

namespace qkv {
namespace {

std::vector<std::vector<int32_t>> prompts_of(const Safetensors& golden, const std::string& prefix) {
  const Tensor ids = golden.get(prefix + "input_ids");
  const std::vector<int32_t> all = ids.to_vector<int32_t>();
  const std::vector<int32_t> mask = golden.contains(prefix + "attention_mask")
                                        ? golden.get(prefix + "attention_mask").to_vector<int32_t>()
                                        : std::vector<int32_t>(all.size(), 1);
  std::vector<std::vector<int32_t>> prompts(static_cast<size_t>(ids.size(0)));
  for (size_t i = 0; i < all.size(); ++i)
    if (mask[i] != 0) prompts[i / static_cast<size_t>(ids.size(1))].push_back(all[i]);
  return prompts;
}

GenerationOptions options_of(const fs::path& directory, const Json& setting) {
  GenerationOptions options;
  if (fs::exists(directory / "generation_config.json"))
    apply_generation_config(Config(read_json(directory / "generation_config.json"), "generation_config.json"), options);
  apply_generation_config(Config(setting, "golden.json"), options);
  options.prompt_padding = static_cast<int32_t>(
      Config::read(directory).integer("pad_token_id", -1, -1, std::numeric_limits<int32_t>::max()));
  options.penalise_padding = Config::read(directory).text("transformers_version", "").starts_with("4.");
  return options;
}

}  // namespace

std::vector<GoldenResult> compare_generation(const fs::path& directory) {
  constexpr double score_tolerance = 1e-4;
  const Json description = read_golden_description(directory);
  const Json settings = description.value("generation", Json::object());
  std::vector<GoldenResult> results;
  if (settings.empty()) return results;
  const Safetensors golden(directory / "golden.safetensors");
  const LoadedModel loaded = load_model(directory, {.in_place = true, .eager = true});
  Generator generator(*loaded.model, DType::f32);
  const bool encodes = loaded.model->spec().encoder.has_value();
  for (const auto& [name, setting] : settings.items()) {
    const std::string prefix = "gen." + name + ".";
    GenerationOptions options = options_of(directory, setting);
    if (encodes) options.prompt_padding = -1;  // prompts are sources: no decoder's input is padded
    const auto generated = generator.generate(prompts_of(golden, prefix), options);
    const Tensor expected = golden.get(prefix + "sequences");
    const std::vector<int32_t> want = expected.to_vector<int32_t>();
    const size_t width = static_cast<size_t>(expected.size(1));
    // An encoder-decoder's sequences begin with the decoder's first token.
    const size_t prompt = encodes ? 1 : static_cast<size_t>(golden.shape(prefix + "input_ids")[1]);
    const std::vector<double> scores = golden.contains(prefix + "sequences_scores")
                                           ? golden.get(prefix + "sequences_scores").to_vector<double>()
                                           : std::vector<double>();
    GoldenResult sequences{prefix + "sequences", 0, 0, ""};
    GoldenResult score{prefix + "sequences_scores", 0, score_tolerance, ""};
    size_t row = 0;
    for (const auto& of_prompt : generated)
      for (const Continuation& continuation : of_prompt) {
        for (size_t i = 0; i < continuation.ids.size(); ++i)
          if (prompt + i >= width || continuation.ids[i] != want[row * width + prompt + i]) {
            sequences.error = 1;
            sequences.note = fmt::format("row {} differs at new token {}", row, i);
            break;
          }
        if (row < scores.size())
          score.error = std::max(score.error, std::abs(continuation.score - scores[row]) / std::abs(scores[row]));
        ++row;
      }
    results.push_back(sequences);
    if (!scores.empty()) results.push_back(score);
  }
  return results;
}

}  // namespace qkv
