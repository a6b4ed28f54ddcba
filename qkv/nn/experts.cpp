#include "qkv/nn/experts.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <numeric>

namespace qkv {
namespace {

// The `chosen` highest of each row, highest first; of equals the first.
std::vector<int32_t> highest_of_rows(const Tensor& logits, int64_t chosen) {
  const std::vector<float> all = logits.to_vector<float>();
  const int64_t width = logits.size(1);
  std::vector<int32_t> result;
  std::vector<int32_t> order(static_cast<size_t>(width));
  for (int64_t row = 0; row < logits.size(0); ++row) {
    const float* scores = all.data() + row * width;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    result.insert(result.end(), order.begin(), order.begin() + chosen);
  }
  return result;
}

Tensor ids(const std::vector<int32_t>& values) {
  return Tensor::from<int32_t>({static_cast<int64_t>(values.size())}, values);
}

// w [N, 1] repeated along rows of width D.
Tensor widened(const Tensor& w, int64_t width) {
  return linear(w, Tensor::from({width, 1}, std::vector<float>(static_cast<size_t>(width), 1.0F)), {});
}

}  // namespace

Experts::Experts(int64_t width, const FeedForwardSpec& feed_forward, const ExpertsSpec& experts_spec)
    : spec(experts_spec), router(width, spec.count, false) {
  for (int64_t e = 0; e < spec.count; ++e) experts.emplace_back(width, feed_forward);
}

Tensor Experts::operator()(const Tensor& x, int64_t layer, const Context& context) const {
  const int64_t D = x.size(-1);
  const int64_t N = x.numel() / D;
  const Tensor rows = reshape(x, {N, D});
  const Tensor logits = context.tap(layer, "mlp.hook_router_logits", cast(router(rows), DType::f32));
  const std::vector<int32_t> chosen = highest_of_rows(logits, spec.chosen);
  if (context.routing != nullptr) context.routing->push_back({logits, chosen});

  std::vector<int32_t> places(chosen.size());  // of the chosen logits among all
  for (size_t i = 0; i < chosen.size(); ++i)
    places[i] = static_cast<int32_t>(static_cast<int64_t>(i) / spec.chosen * spec.count) + chosen[i];
  const Tensor scores = embedding(ids(places), reshape(logits, {N * spec.count, 1}), DType::f32);
  const Tensor weights = reshape(softmax(reshape(scores, {N, spec.chosen})), {N * spec.chosen, 1});

  // Each expert takes its tokens at once; results are joined by expert and then fetched back by token.
  std::vector<Tensor> results;
  std::vector<int32_t> fetched(chosen.size());
  std::vector<int32_t> sources;
  for (int64_t e = 0; e < spec.count; ++e) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < chosen.size(); ++i)
      if (chosen[i] == static_cast<int32_t>(e)) {
        fetched[i] = static_cast<int32_t>(sources.size());
        sources.push_back(static_cast<int32_t>(i));
        tokens.push_back(static_cast<int32_t>(static_cast<int64_t>(i) / spec.chosen));
      }
    if (tokens.empty()) continue;
    results.push_back(experts[static_cast<size_t>(e)](embedding(ids(tokens), rows, rows.dtype()), layer, context));
  }
  const Tensor by_expert = cast(embedding(ids(sources), weights, DType::f32), rows.dtype());
  const Tensor weighted = multiply(concat(results, 0), widened(by_expert, D));
  Tensor sum;
  for (int64_t j = 0; j < spec.chosen; ++j) {
    std::vector<int32_t> of_rank;
    for (int64_t n = 0; n < N; ++n) of_rank.push_back(fetched[static_cast<size_t>(n * spec.chosen + j)]);
    const Tensor part = embedding(ids(of_rank), weighted, rows.dtype());
    sum = sum ? add(sum, part) : part;
  }
  return reshape(sum, x.shape());
}

void Experts::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  router.visit(prefix + ".router", visitor);
  for (size_t e = 0; e < experts.size(); ++e) experts[e].visit(prefix + ".experts." + std::to_string(e), visitor);
}

Tensor balance_loss(const std::vector<Routing>& layers, const Tensor& mask) {
  const int64_t count = layers.at(0).logits.size(1);
  const std::vector<uint8_t> shown = mask ? mask.to_vector<uint8_t>() : std::vector<uint8_t>();
  const auto visible = [&](size_t row) { return shown.empty() || shown[row] != 0; };
  std::vector<double> choices(static_cast<size_t>(count), 0);
  double tokens = 0;
  for (const Routing& layer : layers) {
    const size_t rows = static_cast<size_t>(layer.logits.size(0));
    const size_t chosen = layer.experts.size() / rows;
    for (size_t row = 0; row < rows; ++row) {
      if (!visible(row)) continue;
      ++tokens;
      for (size_t j = 0; j < chosen; ++j) ++choices[static_cast<size_t>(layer.experts[row * chosen + j])];
    }
  }
  Tensor loss;
  for (const Routing& layer : layers) {
    const size_t rows = static_cast<size_t>(layer.logits.size(0));
    std::vector<float> factors;
    for (size_t row = 0; row < rows; ++row)
      for (const double choice : choices)
        factors.push_back(visible(row) ? static_cast<float>(static_cast<double>(count) * choice / (tokens * tokens))
                                       : 0.0F);
    const Tensor part = sum(multiply(softmax(layer.logits), Tensor::from(layer.logits.shape(), factors)));
    loss = loss ? add(loss, part) : part;
  }
  return loss;
}

}  // namespace qkv
