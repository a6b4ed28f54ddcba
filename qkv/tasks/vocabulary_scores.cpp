#include "qkv/tasks/vocabulary_scores.h"

#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <cmath>

namespace qkv {

void visit_vocabulary_scores(const TextModel& model, const Tensor& h, std::span<const int32_t> places,
                             const std::function<void(size_t i, std::span<const float> logits)>& visit) {
  constexpr size_t at_once = 64;
  const Tensor rows = reshape(h, {h.numel() / h.size(-1), h.size(-1)});
  for (size_t begin = 0; begin < places.size(); begin += at_once) {
    const std::span<const int32_t> some = places.subspan(begin, std::min(at_once, places.size() - begin));
    const Tensor ids = Tensor::from<int32_t>({std::ssize(some)}, {some.begin(), some.end()});
    const std::vector<float> logits =
        model.model().vocabulary_logits(embedding(ids, rows, rows.dtype()), model.context()).to_vector<float>();
    const size_t vocabulary = logits.size() / some.size();
    parallel_for(std::ssize(some), 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        visit(begin + static_cast<size_t>(i),
              std::span(logits).subspan(static_cast<size_t>(i) * vocabulary, vocabulary));
    });
  }
}

double log_partition(std::span<const float> logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x - highest));
  const double result = static_cast<double>(highest) + std::log(sum);
  if (!std::isfinite(result))
    throw Error("model", "its scores are not finite numbers", "the weights are damaged, or training had diverged");
  return result;
}

}  // namespace qkv
