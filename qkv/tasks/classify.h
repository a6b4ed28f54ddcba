// Classes of texts, or of pairs of texts.
//
//   const qkv::Classifier classifier("models/mood");
//   for (const qkv::Label& label : classifier.classify("I like it"))
//     std::cout << label.name << ' ' << label.score << '\n';
#pragma once

#include "qkv/tasks/text_model.h"

namespace qkv {

struct Label {
  std::string name;
  double score = 0;  // a probability; of a regression, the number itself
};

// How logits become scores. automatic: as the checkpoint's problem_type says: softmax among exclusive classes, a
// sigmoid for each of several labels or a single one, the plain number of a regression.
enum class ScoreFunction : uint8_t { automatic, softmax, sigmoid, none };

class Classifier {
 public:
  // Throws Error for a checkpoint without a sequence-classification head and for classes without names.
  explicit Classifier(const fs::path& directory, TaskOptions options = {},
                      ScoreFunction function = ScoreFunction::automatic);
  explicit Classifier(TextModel base, ScoreFunction function = ScoreFunction::automatic);

  const TextModel& base() const { return base_; }

  // All classes of each row, highest score first.
  std::vector<std::vector<Label>> classify(std::span<const Row> rows) const;
  std::vector<Label> classify(std::string_view text) const;
  std::vector<Label> classify(std::string_view first, std::string_view second) const;

 private:
  TextModel base_;
  ScoreFunction function_;
  std::vector<std::string> names_;
};

}  // namespace qkv
