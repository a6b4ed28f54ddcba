// A batch of sequences being decoded: the padded prompts, their cache, and the step that gives the next logits.
#pragma once

#include "qkv/generate/generator.h"
#include "qkv/generate/replayed_step.h"

#include <span>

namespace qkv {

class Decoding {
 public:
  // Runs the prompts through the model; keys and values are kept as `cache` (generate/cache_type.h). At most
  // `new_tokens` further positions will be asked for. An encoder-decoder reads `sources` first, one for each prompt.
  // With `keeps_hidden`, the model's hidden states can be asked for.
  Decoding(Model& model, DType compute, std::optional<DType> cache, const std::vector<std::vector<int32_t>>& prompts,
           int64_t new_tokens, const std::vector<std::vector<int32_t>>& sources = {}, bool keeps_hidden = false);

  size_t rows() const { return static_cast<size_t>(cache_.rows()); }
  std::span<const float> logits(size_t row) const;  // of the next position, [V]; valid until the next step
  // f32 [T, D]: of what the row's last step read, the prompt or a token; without its padding. To be asked for before
  // rows are selected.
  Tensor hidden(size_t row) const;
  void advance(const std::vector<int32_t>& tokens);  // one token a row
  // Row i becomes a copy of row sources[i]. Where a step follows at once, the logits need not be `scored` again.
  void select_rows(const std::vector<int32_t>& sources, bool scored = true);

 private:
  void encode(const std::vector<std::vector<int32_t>>& sources);
  void run(const Tensor& ids, const Tensor& positions);
  bool replays() const;
  Model& model_;
  Context context_;
  KeyValueCache cache_;
  std::vector<std::vector<uint8_t>> masks_;  // by row: which cached positions are real
  bool padded_ = false;
  bool reorders_ = false;
  std::vector<int32_t> last_;     // of each row; kept where the model reads it again
  std::vector<int32_t> lengths_;  // real positions of each row
  Tensor logits_;
  std::unique_ptr<ReplayedStep> replayed_;  // where the device can, made when rows are advanced
  bool keeps_hidden_;
  Tensor hidden_;  // of the last step, [rows, T, D]
};

}  // namespace qkv
