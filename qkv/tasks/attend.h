// Where a model looks: the weights that one place of a text gives to the places it sees, in every head.
//
//   const qkv::AttentionReader reader("models/gpt2");
//   for (const qkv::LayerAttention& layer : reader.read(ids, std::ssize(ids) - 1)) ... layer.heads[h][key] ...
#pragma once

#include "qkv/tasks/text_model.h"

#include <optional>

namespace qkv {

// softmax(q k / sqrt(K) + biases) of one query (Vaswani et al. 2017), [H][keys]; each head's weights add up to 1.
struct LayerAttention {
  int64_t layer = 0;
  std::vector<std::vector<float>> heads;
};

class AttentionReader {
 public:
  explicit AttentionReader(const fs::path& directory, TaskOptions options = {});

  // Whether a model's layers have such weights: those of one stack that attends, without memory of earlier segments,
  // global tokens, or mixers in attention's place.
  static bool can_read(const Spec& spec);

  // Of all layers, or of `layer`. Causal models see the tokens up to `position`, others all. Throws Error for ids,
  // positions and layers that there are not, and for a text that is too long.
  std::vector<LayerAttention> read(std::span<const int32_t> ids, int64_t position,
                                   std::optional<int64_t> layer = {}) const;

 private:
  TextModel base_;
};

}  // namespace qkv
