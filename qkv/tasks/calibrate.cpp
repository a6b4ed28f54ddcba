#include "qkv/tasks/calibrate.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"
#include "qkv/tasks/windows.h"

#include <algorithm>
#include <numeric>

namespace qkv {
namespace {

struct Sum {
  std::vector<double> squares;
  double rows = 0;

  void add(const Tensor& x, size_t width) {
    const std::vector<float> values = cast(x, DType::f32).to_vector<float>();
    squares.resize(width);
    for (size_t i = 0; i < values.size(); ++i) squares[i % width] += values[i] * static_cast<double>(values[i]);
    rows += static_cast<double>(values.size() / width);
  }
};

}  // namespace

std::map<std::string, Tensor> input_squares(const TextModel& model, std::string_view text, int64_t tokens) {
  const NoGrad no_grad;
  if (model.model().spec().encoder)
    throw Error("--calibrate", "the inputs of an encoder-decoder follow from pairs of texts, not from one",
                "leave it out: errors are then weighed alike");
  std::vector<int32_t> ids = model.ids_of(text, "--calibrate");
  ids.resize(static_cast<size_t>(std::min<int64_t>(std::ssize(ids), tokens)));
  std::map<std::string, Sum> sums;
  Taps taps;
  taps.wants = [](const std::string& name) {
    for (const char* point : {"ln1.hook_normalized", "ln2.hook_normalized", "attn.hook_z", "mlp.hook_post"})
      if (name.ends_with(point)) return true;
    return false;
  };
  taps.see = [&](const std::string& name, const Tensor& value) {
    // Attention's result is [B, T, heads, K]: a row of its projection's input is a position's heads together.
    const bool heads = name.ends_with("hook_z");
    sums[name].add(value, static_cast<size_t>(heads ? value.size(-1) * value.size(-2) : value.size(-1)));
    return value;
  };
  Context context = model.context();
  context.taps = &taps;
  const int64_t length = std::min(measured_window, model.limit());
  std::vector<Row> rows;
  for (const auto& [begin, end] : windows_over(std::ssize(ids), length, 0)) {
    if (end - begin < length && !rows.empty()) break;  // padding, which it would need beside the others, is no text
    rows.push_back({{ids.begin() + begin, ids.begin() + end}, {}});
  }
  model.run(rows, [&](const RowBatch& batch) {
    const Tensor h = model.model().hidden(batch.inputs, context);
    if (model.model().spec().heads.language_model) sums["unembed.hook_in"].add(h, static_cast<size_t>(h.size(-1)));
  });
  std::map<std::string, Tensor> means;
  for (const auto& [name, sum] : sums) {
    std::vector<float> mean;
    // What the text does not use at all still counts a little.
    const double least =
        1e-6 * std::accumulate(sum.squares.begin(), sum.squares.end(), 1e-30) / static_cast<double>(sum.squares.size());
    for (const double square : sum.squares) mean.push_back(static_cast<float>(std::max(square, least) / sum.rows));
    means[name] = Tensor::from<float>({std::ssize(mean)}, mean);
  }
  return means;
}

std::string tap_of_gguf_tensor(const Spec& spec, std::string_view name) {
  if (name == "output.weight" || (name == "token_embd.weight" && spec.heads.tied)) return "unembed.hook_in";
  if (!name.starts_with("blk.")) return "";
  const size_t dot = name.find('.', 4);
  if (dot == std::string_view::npos) return "";
  const std::string layer = "blocks." + std::string(name.substr(4, dot - 4)) + ".";
  const std::string_view part = name.substr(dot + 1);
  if (part.starts_with("attn_output")) return layer + "attn.hook_z";
  if (part.starts_with("ffn_down")) return layer + "mlp.hook_post";
  if (part.starts_with("attn_")) return layer + "ln1.hook_normalized";
  return layer + (spec.stack.block.shared_norm ? "ln1.hook_normalized" : "ln2.hook_normalized");
}

}  // namespace qkv
