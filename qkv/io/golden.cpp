#include "qkv/io/golden.h"

#include "qkv/core/error.h"
#include "qkv/io/golden_run.h"
#include "qkv/ops/check.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr double output_tolerance = 1e-4;
constexpr double gradient_tolerance = 1e-3;
// bf16 keeps 8 bits of each value, f16 11; a few layers of it lose about this much.
constexpr double bf16_tolerance = 0.15;
constexpr double f16_tolerance = bf16_tolerance / 8;

}  // namespace

Json read_golden_description(const fs::path& directory) {
  const fs::path path = directory / "golden.json";
  Json description = read_json(path);
  const auto runs = description.find("runs");
  if (!description.is_object() || runs == description.end() || !runs->is_array())
    throw Error(path.string(), "lists no runs");
  for (const Json& run : *runs)
    if (!run.is_object() || (run.contains("prefix") && !run["prefix"].is_string()))
      throw Error(path.string(), "has a run without a prefix");
  if (description.contains("generation") && !description["generation"].is_object())
    throw Error(path.string(), "\"generation\" is not an object");
  return description;
}

std::vector<GoldenResult> compare_with_golden(const fs::path& directory, DType compute) {
  check_dtype_option(compute, default_device());
  LoadedModel loaded = load_model(directory, {.eager = true});
  const Safetensors golden(directory / "golden.safetensors");
  const Json description = read_golden_description(directory);
  loaded.model->require_grad();
  const double tolerance = compute == DType::f32    ? output_tolerance
                           : compute == DType::bf16 ? bf16_tolerance
                                                    : f16_tolerance;
  GoldenComparison comparison(golden, tolerance);
  for (const Json& run : description["runs"]) {
    const std::string prefix = run.value("prefix", "");
    compare_run(*loaded.model, golden, prefix, compute, std::max(tolerance, gradient_tolerance), comparison);
    for (const Json& output : run.value("outputs", Json::array()))
      if (output.is_string()) comparison.require(prefix + output.get<std::string>());
  }
  return comparison.results();
}

}  // namespace qkv
