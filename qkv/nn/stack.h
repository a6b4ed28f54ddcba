// A stack of blocks, with what all of them share.
#pragma once

#include "qkv/nn/block.h"
#include "qkv/nn/distances.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace qkv {

struct StackSpec {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t max_positions = 0;      // 0: any number
  BlockSpec block;                // of every layer, unless
  std::vector<BlockSpec> varied;  // layers differ: then one each. Widths, heads and head_dim stay the same.
  std::vector<int64_t> order;     // which block each layer is, where layers share theirs (ALBERT); empty: its own
  int64_t blocks_together = 1;    // shared blocks that always follow each other
  std::optional<DistancesSpec> distances;  // where attention is relative
  std::optional<PastSpec> past;
  std::optional<NormSpec> final_norm;
  float final_dropout = 0;  // of the result (T5, Transformer-XL, Reformer)

  // Of the result: the two streams of reversible blocks stand side by side.
  int64_t output_width() const { return block.residual == Residual::reversible ? 2 * width : width; }
  const BlockSpec& layer(int64_t i) const { return varied.empty() ? block : varied[static_cast<size_t>(i)]; }
  // Of any layer that has experts; null = none has.
  const ExpertsSpec* experts() const {
    for (int64_t i = 0; i < distinct(); ++i)
      if (layer(i).experts) return &*layer(i).experts;
    return nullptr;
  }
  int64_t distinct() const { return order.empty() ? layers : 1 + *std::max_element(order.begin(), order.end()); }
  // Each layer is an object of its own, however narrow: a number beyond this is a mistake, not a model.
  static constexpr int64_t most_layers = int64_t{1} << 16;
  // Sets `varied`: change(i, block) makes of the common block the one of layer i.
  template <typename Change>
  void vary(Change&& change) {
    if (layers > most_layers) return;  // which check_spec tells
    varied.assign(static_cast<size_t>(layers), block);
    for (int64_t i = 0; i < layers; ++i) change(i, varied[static_cast<size_t>(i)]);
  }
};

struct Stack {
  StackSpec spec;
  std::vector<Block> blocks;
  Distances distances;  // unused unless the spec asks for it, and likewise
  Norm final_norm;
  Tensor distance_bias;  // [buckets, heads]: every layer's, where the spec's attention has one

  Stack() = default;
  explicit Stack(const StackSpec& stack_spec);
  // x [B,T,D] -> [B,T,D]. With a cache, appends T positions to it. Queries of the context's streams are the last rows.
  Tensor operator()(const Tensor& x, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  Stream run_reversible(const Tensor& x, const Context& context) const;
  std::vector<Tensor> past_of(const Tensor& x, const Context& context) const;
  void remember(const Tensor& past, const Tensor& x, const Context& context, Past& next) const;
  const RotaryTable* table_for(const RotarySpec& rotary, int64_t positions, Device device) const;
  struct MadeTable {
    RotarySpec spec;
    RotaryTable table;
  };
  mutable std::vector<std::shared_ptr<MadeTable>> tables_;    // one a kind of rotary positions, made at first use
  mutable std::vector<std::shared_ptr<MadeTable>> outgrown_;  // on a device: recorded work may still read them
};

}  // namespace qkv
