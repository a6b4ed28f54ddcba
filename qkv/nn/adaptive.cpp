#include "qkv/nn/adaptive.h"

#include "qkv/core/error.h"
#include "qkv/ops/activation.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/shape.h"

namespace qkv {
namespace {

Tensor ids_of(const std::vector<int32_t>& values) { return Tensor::from({std::ssize(values)}, values); }

}  // namespace

int64_t AdaptiveSpec::width_of(int64_t range) const {
  int64_t result = width;
  for (int64_t i = 0; i < range; ++i) result /= division;
  return result;
}

AdaptiveEmbedding::AdaptiveEmbedding(int64_t vocab_size, int64_t width, const AdaptiveSpec& adaptive_spec)
    : spec(adaptive_spec), vocab(vocab_size) {
  const bool one = spec.division == 1;
  for (int64_t i = 0; i < (one ? 1 : spec.ranges()); ++i) {
    const int64_t words = one ? vocab : spec.end(i, vocab) - spec.begin(i);
    tables.push_back(Tensor::empty({words + (i == 0 ? spec.leading() : 0), spec.width_of(i)}));
    if (!one || spec.width != width) projections.push_back(Tensor::empty({width, spec.width_of(i)}));
  }
}

Tensor AdaptiveEmbedding::operator()(const Tensor& ids, const Context& context) const {
  const std::vector<int32_t> words = ids.to_vector<int32_t>();
  for (size_t i = 0; i < words.size(); ++i)
    if (words[i] < 0 || words[i] >= vocab)
      throw Error("embedding", fmt::format("id {} at place {} is outside the vocabulary of {}", words[i], i, vocab),
                  "check that the tokenizer belongs to the model");
  // Each table's words at once, joined by table and then fetched back by place.
  std::vector<Tensor> parts;
  std::vector<int32_t> fetched(words.size());
  int32_t found = 0;
  for (size_t i = 0; i < tables.size(); ++i) {
    const int64_t range = static_cast<int64_t>(i);
    const int64_t begin = spec.begin(range);
    const int64_t end = tables.size() == 1 ? vocab : spec.end(range, vocab);
    std::vector<int32_t> rows;
    for (size_t place = 0; place < words.size(); ++place)
      if (words[place] >= begin && words[place] < end) {
        rows.push_back(static_cast<int32_t>(words[place] - begin + (i == 0 ? spec.leading() : 0)));
        fetched[place] = found++;
      }
    if (rows.empty()) continue;
    const Tensor vectors = embedding(ids_of(rows), tables[i], context.compute);
    parts.push_back(projections.empty() ? vectors : linear(vectors, projections[i], {}));
  }
  const Tensor joined = parts.size() == 1 ? parts[0] : embedding(ids_of(fetched), concat(parts, 0), context.compute);
  return reshape(joined, {ids.size(0), ids.size(1), joined.size(1)});
}

void AdaptiveEmbedding::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (size_t i = 0; i < tables.size(); ++i)
    visitor(prefix + ".tables." + std::to_string(i), tables[i], Role::embedding);
  for (size_t i = 0; i < projections.size(); ++i)
    visitor(prefix + ".projections." + std::to_string(i), projections[i], Role::matrix);
}

AdaptiveSoftmax::AdaptiveSoftmax(const AdaptiveEmbedding& embedding, int64_t width) : shared(embedding) {
  const AdaptiveSpec& spec = shared.spec;
  for (const Tensor& table : shared.tables) biases.push_back(Tensor::empty({table.size(0)}));
  projections.resize(static_cast<size_t>(spec.ranges()));
  for (int64_t i = 0; i < spec.ranges(); ++i)
    if (spec.own[static_cast<size_t>(i)] && !shared.projections.empty())
      projections[static_cast<size_t>(i)] = Tensor::empty({width, spec.width_of(i)});
}

std::vector<AdaptiveSoftmax::Output> AdaptiveSoftmax::outputs() const {
  const AdaptiveSpec& spec = shared.spec;
  std::vector<Output> result;
  if (shared.tables.size() > 1 || spec.ranges() == 1) {
    for (size_t i = 0; i < shared.tables.size(); ++i) result.push_back({shared.tables[i], biases[i]});
    return result;
  }
  // One table for all ranges: pieces of it, cut off one by one.
  Output rest{shared.tables[0], biases[0]};
  for (int64_t i = 0; i + 1 < spec.ranges(); ++i) {
    const int64_t rows = spec.end(i, shared.vocab) - spec.begin(i) + (i == 0 ? spec.leading() : 0);
    const std::vector<int64_t> lengths = {rows, rest.weight.size(0) - rows};
    const std::vector<Tensor> weights = split(rest.weight, 0, lengths);
    const std::vector<Tensor> bias = split(rest.bias, 0, lengths);
    result.push_back({weights[0], bias[0]});
    rest = {weights[1], bias[1]};
  }
  result.push_back(rest);
  return result;
}

Tensor AdaptiveSoftmax::projected(const Tensor& h, int64_t range) const {
  const Tensor& own = projections[static_cast<size_t>(range)];
  if (!own && shared.projections.empty()) return h;
  const size_t table = shared.projections.size() == 1 ? 0 : static_cast<size_t>(range);
  return linear(h, transpose(own ? own : shared.projections[table], 0, 1), {});
}

Tensor AdaptiveSoftmax::log_probabilities(const Tensor& h) const {
  const AdaptiveSpec& spec = shared.spec;
  const std::vector<Output> all = outputs();
  const auto scores = [&](int64_t range) {
    const Output& output = all[static_cast<size_t>(range)];
    return log_softmax(cast(linear(projected(h, range), output.weight, output.bias), DType::f32));
  };
  const Tensor first = scores(0);
  const int64_t ranges = spec.leading();
  if (ranges == 0) return first;
  const std::vector<Tensor> parts = split(first, 1, {ranges, first.size(1) - ranges});
  std::vector<Tensor> results = {contiguous(parts[1])};
  for (int64_t i = 1; i < spec.ranges(); ++i) {
    const Tensor words = scores(i);
    const Tensor range = reshape(select(parts[0], 1, i - 1), {h.size(0), 1});
    results.push_back(add(words, widened(range, words.size(1))));
  }
  return concat(results, 1);
}

Tensor AdaptiveSoftmax::loss(const Tensor& h, const Tensor& targets, float scale, float label_smoothing) const {
  const AdaptiveSpec& spec = shared.spec;
  const std::vector<Output> all = outputs();
  const std::vector<int32_t> words = targets.to_vector<int32_t>();
  // The first step's target is the word itself or its range.
  std::vector<int32_t> first;
  std::vector<std::vector<int32_t>> places(static_cast<size_t>(spec.ranges()));
  for (size_t place = 0; place < words.size(); ++place) {
    int64_t range = 0;
    while (range + 1 < spec.ranges() && words[place] >= spec.begin(range + 1)) ++range;
    if (range > 0) places[static_cast<size_t>(range)].push_back(static_cast<int32_t>(place));
    first.push_back(words[place] < 0 ? words[place]
                    : range == 0     ? static_cast<int32_t>(words[place] + spec.leading())
                                     : static_cast<int32_t>(range - 1));
  }
  Tensor total =
      linear_cross_entropy(projected(h, 0), all[0].weight, all[0].bias, ids_of(first), scale, label_smoothing);
  for (int64_t range = 1; range < spec.ranges(); ++range) {
    const std::vector<int32_t>& here = places[static_cast<size_t>(range)];
    if (here.empty()) continue;
    std::vector<int32_t> within;
    for (const int32_t place : here)
      within.push_back(static_cast<int32_t>(words[static_cast<size_t>(place)] - spec.begin(range)));
    const Output& output = all[static_cast<size_t>(range)];
    const Tensor rows = embedding(ids_of(here), h, h.dtype());
    total = add(total, linear_cross_entropy(projected(rows, range), output.weight, output.bias, ids_of(within), scale,
                                            label_smoothing));
  }
  return total;
}

void AdaptiveSoftmax::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (size_t i = 0; i < biases.size(); ++i) visitor(prefix + ".biases." + std::to_string(i), biases[i], Role::bias);
  for (size_t i = 0; i < projections.size(); ++i)
    if (projections[i]) visitor(prefix + ".projections." + std::to_string(i), projections[i], Role::matrix);
}

}  // namespace qkv
