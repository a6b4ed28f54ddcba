// Where a model looks: the weights that one place of a text gives to the places it sees, in every head.
//
//   const qkv::AttentionReader reader("models/gpt2");
//   for (const qkv::LayerAttention& layer : reader.read(ids, std::ssize(ids) - 1)) ... layer.heads[h][key] ...
#pragma once

#include "qkv/tasks/text_model.h"

#include <functional>
#include <optional>

namespace qkv {

// softmax(q k / sqrt(K) + biases) of one query (Vaswani et al. 2017), [H][keys]; each head's weights add up to 1.
struct LayerAttention {
  int64_t layer = 0;
  std::vector<std::vector<float>> heads;
};

// One reading, a piece at a time: whoever runs the model may run other things between them.
class AttentionReading {
 public:
  // As AttentionReader::read() has it. Throws Error likewise, but for a text that is too long for the model.
  AttentionReading(const Spec& spec, DType compute, std::vector<int32_t> ids, int64_t position,
                   std::optional<int64_t> layer);

  // Reads at most so many tokens more; what sees both ways is read at once. false: all is read.
  bool read(Model& model, int64_t tokens);
  std::vector<LayerAttention> take() { return std::move(layers_); }

 private:
  std::vector<int32_t> ids_;
  int64_t position_;
  std::optional<int64_t> layer_;
  bool causal_;
  DType compute_;
  std::optional<KeyValueCache> cache_;  // what stands before, so that the one row is all that is made
  int64_t read_ = 0;
  std::vector<LayerAttention> layers_;
};

class AttentionReader {
 public:
  explicit AttentionReader(const fs::path& directory, TaskOptions options = {});
  explicit AttentionReader(TextModel base);

  // Whether a model's layers have such weights: those of one stack that attends, without memory of earlier segments,
  // global tokens, or mixers in attention's place.
  static bool can_read(const Spec& spec);

  // Of all layers, or of `layer`. Causal models see the tokens up to `position`, others all. Throws Error for ids,
  // positions and layers that there are not, and for a text that is too long. `stop` is asked before each piece of the
  // text: once it is true, nothing more is read, and nothing given.
  std::vector<LayerAttention> read(std::span<const int32_t> ids, int64_t position, std::optional<int64_t> layer = {},
                                   const std::function<bool()>& stop = {}) const;

 private:
  TextModel base_;
};

}  // namespace qkv
