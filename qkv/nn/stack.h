// A stack of blocks, with what all of them share.
#pragma once

#include "qkv/nn/block.h"

#include <memory>
#include <vector>

namespace qkv {

struct StackSpec {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t max_positions = 0;
  BlockSpec block;
  bool final_norm = false;
};

struct Stack {
  StackSpec spec;
  std::vector<Block> blocks;
  Norm final_norm;  // unused unless the spec asks for it

  Stack() = default;
  explicit Stack(const StackSpec& stack_spec);
  // x [B,T,D] -> [B,T,D]. With a cache, appends T positions to it.
  Tensor operator()(const Tensor& x, const Context& context) const;
  void visit(const std::string& prefix, const ParameterVisitor& visitor);

 private:
  const RotaryTable* table_for(int64_t positions) const;
  mutable std::shared_ptr<RotaryTable> table_;  // made at first use
};

}  // namespace qkv
