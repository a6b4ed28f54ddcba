#include "qkv/tasks/embed.h"

#include "qkv/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qkv {
namespace {

constexpr std::string_view sentence_limit = "sentence_bert_config.json's max_seq_length is {}";

// One vector from the hidden states h [length, width] of a row.
std::vector<float> pooled(std::span<const float> h, int64_t length, int64_t width, Pooling pooling) {
  const auto at = [&](int64_t t) { return h.subspan(static_cast<size_t>(t * width), static_cast<size_t>(width)); };
  if (pooling == Pooling::cls || pooling == Pooling::last) {
    const auto one = at(pooling == Pooling::cls ? 0 : length - 1);
    return {one.begin(), one.end()};
  }
  std::vector<float> out(at(0).begin(), at(0).end());
  for (int64_t t = 1; t < length; ++t) {
    const auto one = at(t);
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = pooling == Pooling::mean ? out[i] + one[i] : std::max(out[i], one[i]);
  }
  if (pooling == Pooling::mean)
    for (float& x : out) x /= static_cast<float>(length);
  return out;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

Embedder::Embedder(const fs::path& directory, TaskOptions options, std::optional<Pooling> pooling,
                   std::optional<bool> normalise)
    : modules_(SentenceModules::read(directory)), base_(modules_.model, std::move(options)) {
  if (pooling) modules_.pooling = *pooling;
  if (normalise) modules_.normalise = *normalise;
  base_.limit_to(modules_.max_length, sentence_limit);
}

Embedder::Embedder(const TextModel& base)
    : modules_(SentenceModules::read(base.directory())),
      base_(modules_.model == base.directory() ? base : TextModel(modules_.model, base.options())) {
  base_.limit_to(modules_.max_length, sentence_limit);
}

std::vector<std::vector<float>> Embedder::embed(std::span<const Row> rows) const {
  std::vector<std::vector<float>> results(rows.size());
  base_.run(rows, [&](const RowBatch& batch) {
    const bool encodes = base_.model().spec().encoder.has_value();
    const std::vector<float> h =
        finite_values(encodes ? base_.model().encode(batch.inputs, base_.context()) : base_.hidden(batch.inputs));
    const size_t of_row = h.size() / batch.rows.size();
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const size_t row = batch.rows[i];
      std::vector<float>& out = results[row];
      out = pooled(std::span(h).subspan(i * of_row, of_row), std::ssize(rows[row].ids), width(), modules_.pooling);
      if (!modules_.normalise) continue;
      const auto length = static_cast<float>(std::max(std::sqrt(dot(out, out)), 1e-12));
      for (float& x : out) x /= length;
    }
  });
  return results;
}

std::vector<float> Embedder::embed(std::string_view text) const {
  const Row one = row(text);
  return embed(std::span(&one, 1))[0];
}

double cosine(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) throw Error("cosine", fmt::format("vectors of {} and of {} numbers", a.size(), b.size()));
  const double length = std::sqrt(dot(a, a) * dot(b, b));
  return length > 0 ? dot(a, b) / length : 0;
}

}  // namespace qkv
