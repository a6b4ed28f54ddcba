#include "qkv/nn/stack.h"

#include "qkv/ops/autograd.h"

#include <algorithm>

namespace qkv {

Stack::Stack(const StackSpec& stack_spec) : spec(stack_spec) {
  for (int64_t i = 0; i < spec.layers; ++i) blocks.emplace_back(spec.width, spec.block);
  if (spec.final_norm) final_norm = Norm(spec.width, spec.block.norm);
}

const RotaryTable* Stack::table_for(int64_t positions) const {
  const auto& rotary = spec.block.attention.rotary;
  if (!rotary) return nullptr;
  const int64_t rows = std::max(spec.max_positions, positions);
  // Only dynamic scaling depends on the length; every other table serves all shorter texts.
  const int64_t wanted =
      rotary->scaling == RotarySpec::Scaling::dynamic ? std::max(rotary->original_positions, positions) : rows;
  if (!table_ || table_->cosine.size(0) != wanted)
    table_ = std::make_shared<RotaryTable>(rotary_table(*rotary, wanted));
  return table_.get();
}

Tensor Stack::operator()(const Tensor& x, const Context& context) const {
  const int64_t before = context.cache == nullptr ? 0 : context.cache->length();
  const RotaryTable* table = table_for(before + x.size(1));
  Stream stream{x, {}};
  for (int64_t i = 0; i < spec.layers; ++i) {
    const Block& block = blocks[static_cast<size_t>(i)];
    if (context.checkpoint && context.training) {
      const auto run = [&block, i, context, table](const Tensor& input) {
        return block({input, {}}, i, context, table).value();
      };
      stream = {checkpoint(run, stream.value()), {}};
    } else {
      stream = block(std::move(stream), i, context, table);
    }
  }
  if (context.cache != nullptr) context.cache->advance(x.size(1));
  if (!spec.final_norm) return stream.value();
  const Tensor y = stream.branch ? final_norm.add(stream.stream, stream.branch).y : final_norm(stream.stream);
  return context.tap("ln_final.hook_normalized", y);
}

void Stack::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i].visit(prefix + "blocks." + std::to_string(i), visitor);
  if (spec.final_norm) final_norm.visit(prefix + "final_norm", visitor);
}

}  // namespace qkv
