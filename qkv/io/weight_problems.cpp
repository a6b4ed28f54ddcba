#include "qkv/io/weight_problems.h"

#include "qkv/core/error.h"
#include "qkv/models/describe.h"

#include <algorithm>

namespace qkv {
namespace {

void list(std::string& text, const char* title, const std::vector<std::string>& lines) {
  constexpr size_t shown = 20;
  if (lines.empty()) return;
  text += fmt::format("\n  {} ({}):", title, lines.size());
  for (size_t i = 0; i < std::min(shown, lines.size()); ++i) text += "\n    " + lines[i];
  if (lines.size() > shown) text += fmt::format("\n    ... and {} more", lines.size() - shown);
}

}  // namespace

void WeightProblems::raise(const std::string& where, std::string_view family, std::string_view described_by) const {
  if (missing.empty() && shapes.empty() && left.empty()) return;
  std::string text = fmt::format("the weights do not fit the {} that {} describes:", family, described_by);
  list(text, "missing", missing);
  list(text, "wrong shape", shapes);
  list(text, "left over", left);
  throw Error(where, text, fmt::format("check that {} and the weights belong together", described_by));
}

void check_extent(const Spec& spec, const std::string& where, int64_t tensors, int64_t numbers) {
  constexpr int64_t margin = 64;
  const int64_t described = describe(spec).parameters;
  const int64_t layers = spec.layers() + (spec.encoder ? spec.encoder->stack.layers : 0);
  if (layers / margin > tensors || described / margin > numbers + (1 << 20))
    throw Error(where,
                fmt::format("describes {} layers and {} parameters, but the weights are {} tensors of {} numbers",
                            layers, described, tensors, numbers),
                "check that the description and the weights belong together");
}

}  // namespace qkv
