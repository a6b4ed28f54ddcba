#include "qkv/tasks/classify.h"

#include "qkv/core/error.h"
#include "qkv/models/labels_config.h"
#include "qkv/tasks/softmax.h"

#include <algorithm>
#include <cmath>

namespace qkv {

Classifier::Classifier(const fs::path& directory, TaskOptions options, ScoreFunction function)
    : Classifier(TextModel(directory, std::move(options)), function) {}

Classifier::Classifier(TextModel base, ScoreFunction function) : base_(std::move(base)), function_(function) {
  base_.require("classification", {Task::sequence_classification}, "a sequence-classification head");
  const int64_t labels = base_.model().spec().heads.labels;
  names_ = label_names(base_.config(), labels);
  if (function_ != ScoreFunction::automatic) return;
  const std::string problem = base_.config().text("problem_type", "");
  function_ = problem == "regression"                                  ? ScoreFunction::none
              : problem == "multi_label_classification" || labels == 1 ? ScoreFunction::sigmoid
                                                                       : ScoreFunction::softmax;
}

std::vector<std::vector<Label>> Classifier::classify(std::span<const Row> rows) const {
  std::vector<std::vector<Label>> results(rows.size());
  base_.run(rows, [&](const RowBatch& batch) {
    const auto outputs = base_.outputs(batch.inputs);
    const std::vector<float> logits = finite_values(outputs.front().second);
    for (size_t i = 0; i < batch.rows.size(); ++i) {
      const auto of_row = std::span(logits).subspan(i * names_.size(), names_.size());
      std::vector<double> scores(of_row.begin(), of_row.end());
      if (function_ == ScoreFunction::softmax) scores = softmax_of(of_row);
      if (function_ == ScoreFunction::sigmoid)
        for (double& score : scores) score = 1 / (1 + std::exp(-score));
      std::vector<Label>& labels = results[batch.rows[i]];
      for (size_t label = 0; label < names_.size(); ++label) labels.push_back({names_[label], scores[label]});
      std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.score > b.score; });
    }
  });
  return results;
}

std::vector<Label> Classifier::classify(std::string_view text) const {
  const Row row = base_.row(text);
  return classify(std::span(&row, 1))[0];
}

std::vector<Label> Classifier::classify(std::string_view first, std::string_view second) const {
  const Row row = base_.row(first, second);
  return classify(std::span(&row, 1))[0];
}

}  // namespace qkv
