// What every task stands on: a model with its tokenizer, texts as rows of ids, rows as batches of similar lengths.
#pragma once

#include "qkv/core/error.h"
#include "qkv/io/hugging_face.h"
#include "qkv/models/replayed_passes.h"
#include "qkv/text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct TaskOptions {
  DType dtype = DType::f32;  // of weights and activations
  PackOptions pack;
  int64_t batch_tokens = 2048;  // most tokens of a batch, padding included; a longer row is a batch of its own
  bool truncate = false;        // a text that is too long is cut; without, it is an Error
  int64_t max_length = 0;       // most tokens of a row, where less than the model takes; 0 = what the model takes
  // Called after each batch with how many rows are done, of all that run() was given. What it throws ends the work.
  std::function<void(int64_t done, int64_t total)> on_batch;
};

// A model's input: ids with the special tokens around them, and which of two texts each belongs to.
struct Row {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;
};

// Rows that go through the model together, padded on the right.
struct RowBatch {
  std::span<const size_t> rows;  // which, of those given to run()
  int64_t length = 0;            // of the longest
  Inputs inputs;
};

// Copies share the model, so several tasks may stand on one; one thread at a time runs it.
class TextModel {
 public:
  // Loads model and tokenizer of a Hugging Face directory. Throws Error when they do not belong together: a tokenizer
  // of more tokens than the model has.
  explicit TextModel(const fs::path& directory, TaskOptions options = {});

  Model& model() const { return *loaded_->model; }
  const Config& config() const { return loaded_->config; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const TaskOptions& options() const { return options_; }
  const fs::path& directory() const { return directory_; }
  Context context() const { return {.compute = options_.dtype}; }

  // Throws Error, naming the head that the model has, unless it is one of `heads`.
  void require(std::string_view task, std::initializer_list<Task> heads, std::string_view wanted) const;

  // The most tokens of a row, special ones included: the least of the model's positions, the tokenizer's
  // model_max_length and the option. limit_to() lowers
  // it; `because` is for the message: "the model has {} positions".
  int64_t limit() const { return limit_; }
  void limit_to(int64_t tokens, std::string_view because);
  // The most tokens of one text, or of two together, beside the special ones. Throws Error when there is no room.
  int64_t room(bool pair) const;
  // The Error to throw for so many tokens.
  Error too_long(std::string_view where, int64_t tokens, bool pair, std::string_view hint) const;

  // One text, or two, as a row. Throws Error for an empty text, and for one that is too long unless options.truncate:
  // then the longer of two texts loses its end first. Safe to call from several threads.
  Row row(std::string_view text) const;
  Row row(std::string_view first, std::string_view second) const;
  // A text's ids without special tokens. Throws Error when there are none.
  std::vector<int32_t> ids_of(std::string_view text, std::string_view name) const;
  // Around ids that fit; type ids only where the model knows them.
  Row framed(const FramedIds& framed) const;

  // Calls `visit` with all rows, in batches of options.batch_tokens put together from rows of similar lengths, nothing
  // recorded for gradients. What a row gives does not depend on its batch, but for rounding (about 1e-7).
  void run(std::span<const Row> rows, const std::function<void(const RowBatch&)>& visit) const;

  // Model::hidden() and Model::outputs() of such a batch in context(), good until the next pass: on a GPU they are
  // replayed where they can be.
  Tensor hidden(const Inputs& inputs) const { return passes_->hidden(inputs); }
  ReplayedPasses::Outputs outputs(const Inputs& inputs) const { return passes_->outputs(inputs); }

 private:
  fs::path directory_;
  TaskOptions options_;
  std::shared_ptr<const LoadedModel> loaded_;
  std::shared_ptr<ReplayedPasses> passes_;
  Tokenizer tokenizer_;
  int64_t limit_ = 0;
  std::string limited_by_;
  int32_t padding_ = 0;
};

// The elements of a float tensor as f32. Throws Error when one is not finite: the weights are damaged.
std::vector<float> finite_values(const Tensor& x);

}  // namespace qkv
