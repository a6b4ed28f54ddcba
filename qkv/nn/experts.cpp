#include "qkv/nn/experts.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <numeric>

namespace qkv {
namespace {

constexpr uint64_t jitter_key = 0x717;  // beside the dropout of the feed-forward

// A product of a new size has to be prepared, and every step gives an expert another number of tokens. Where they are
// many, their number is rounded up: there are fewer sizes then.
constexpr size_t many_tokens = 16, rounding = 8;

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

// Marks as -1 what exceeds an expert's capacity in each sequence of `length` choices.
void drop_overflow(std::vector<int32_t>& chosen, int64_t length, int64_t count, int64_t capacity) {
  std::vector<int64_t> taken(static_cast<size_t>(count), 0);
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (static_cast<int64_t>(i) % length == 0) std::fill(taken.begin(), taken.end(), 0);
    if (++taken[static_cast<size_t>(chosen[i])] > capacity) chosen[i] = -1;
  }
}

// Each number times its own random one in [1 - jitter, 1 + jitter].
Tensor jittered(const Tensor& x, float jitter, RandomKey key) {
  Random random(key);
  std::vector<float> factors;
  factors.reserve(static_cast<size_t>(x.numel()));
  for (int64_t i = 0; i < x.numel(); ++i) factors.push_back(1 + jitter * static_cast<float>(2 * random.uniform() - 1));
  return multiply(x, cast(Tensor::from(x.shape(), factors, x.device()), x.dtype()));
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
  const Tensor seen = context.training && spec.jitter > 0
                          ? jittered(rows, spec.jitter, context.dropout_key(layer, 6).child(jitter_key).on_host())
                          : rows;
  const Tensor logits =
      reshape(context.tap(layer, "mlp.hook_router_logits",
                          reshape(cast(router(seen), DType::f32), {N / x.size(-2), x.size(-2), spec.count})),
              {N, spec.count});
  std::vector<int32_t> chosen = highest_of_rows(logits, spec.chosen);
  if (context.routing != nullptr)
    context.routing->push_back({reshape(logits, {N / x.size(-2), x.size(-2), spec.count}), chosen, context.part});

  std::vector<int32_t> places(chosen.size());  // of the chosen logits among all
  for (size_t i = 0; i < chosen.size(); ++i)
    places[i] = static_cast<int32_t>(static_cast<int64_t>(i) / spec.chosen * spec.count) + chosen[i];
  const Tensor all = reshape(spec.among_all ? softmax(logits) : logits, {N * spec.count, 1});
  const Tensor scores = reshape(embedding(ids(places), all, DType::f32), {N, spec.chosen});
  const Tensor weights = reshape(spec.among_all ? scores : softmax(scores), {N * spec.chosen, 1});
  if (spec.capacity > 0) drop_overflow(chosen, x.size(-2) * spec.chosen, spec.count, spec.capacity);

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
    while (tokens.size() > many_tokens && tokens.size() % rounding != 0) {  // nobody fetches these
      tokens.push_back(tokens.back());
      sources.push_back(sources.back());
    }
    results.push_back(experts[static_cast<size_t>(e)](embedding(ids(tokens), rows, rows.dtype()), layer, context));
  }
  const Tensor by_expert = cast(embedding(ids(sources), weights, DType::f32), rows.dtype());
  Tensor weighted = multiply(concat(results, 0), widened(by_expert, D));
  if (std::count(chosen.begin(), chosen.end(), -1) > 0) {  // those without an expert fetch zeros
    for (size_t i = 0; i < chosen.size(); ++i)
      if (chosen[i] < 0) fetched[i] = static_cast<int32_t>(sources.size());
    weighted = concat({weighted, Tensor::zeros({1, D}, weighted.dtype(), weighted.device())}, 0);
  }
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

Tensor balance_loss(const std::vector<Routing>& layers, const Tensor& mask, bool by_sequence) {
  const Tensor& first = layers.at(0).logits;
  const size_t count = static_cast<size_t>(first.size(2));
  const size_t length = static_cast<size_t>(first.size(1));
  const size_t rows = static_cast<size_t>(first.size(0)) * length;
  const size_t groups = by_sequence ? static_cast<size_t>(first.size(0)) : 1;
  const auto group_of = [&](size_t row) { return by_sequence ? row / length : 0; };
  const std::vector<uint8_t> shown = mask ? mask.to_vector<uint8_t>() : std::vector<uint8_t>();
  const auto visible = [&](size_t row) { return shown.empty() || shown[row] != 0; };
  std::vector<double> choices(groups * count, 0);
  std::vector<double> tokens(groups, 0);
  for (const Routing& layer : layers) {
    const size_t chosen = layer.experts.size() / rows;
    for (size_t row = 0; row < rows; ++row) {
      if (!visible(row)) continue;
      ++tokens[group_of(row)];
      for (size_t j = 0; j < chosen; ++j)
        ++choices[group_of(row) * count + static_cast<size_t>(layer.experts[row * chosen + j])];
    }
  }
  std::vector<float> factors;
  for (size_t row = 0; row < rows; ++row) {
    const size_t g = group_of(row);
    const double factor = static_cast<double>(count) / (tokens[g] * tokens[g] * static_cast<double>(groups));
    for (size_t e = 0; e < count; ++e)
      factors.push_back(visible(row) ? static_cast<float>(factor * choices[g * count + e]) : 0.0F);
  }
  Tensor loss;
  for (const Routing& layer : layers) {
    const Tensor part = sum(multiply(softmax(layer.logits), Tensor::from(first.shape(), factors, first.device())));
    loss = loss ? add(loss, part) : part;
  }
  return loss;
}

Tensor z_loss(const std::vector<Routing>& layers) {
  Tensor loss;
  for (const Routing& layer : layers) {
    // log sum exp x = x_0 - log softmax(x)_0.
    const Tensor logsumexp = subtract(select(layer.logits, 2, 0), select(log_softmax(layer.logits), 2, 0));
    const Tensor part = sum(multiply(logsumexp, logsumexp));
    loss = loss ? add(loss, part) : part;
  }
  const Tensor& first = layers.at(0).logits;
  return scale(loss, 1.0F / static_cast<float>(std::ssize(layers) * first.size(0) * first.size(1)));
}

Tensor routing_loss(const std::vector<Routing>& layers, const Tensor& mask, const ExpertsSpec& spec) {
  const Tensor balance =
      scale(balance_loss(layers, spec.by_sequence ? Tensor() : mask, spec.by_sequence), spec.balance);
  return spec.z == 0 ? balance : add(balance, scale(z_loss(layers), spec.z));
}

}  // namespace qkv
