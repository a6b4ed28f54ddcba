#include "qkv/nn/stack.h"

#include "qkv/ops/autograd.h"

#include <algorithm>

namespace qkv {

Stack::Stack(const StackSpec& stack_spec) : spec(stack_spec) {
  for (int64_t i = 0; i < spec.distinct(); ++i) blocks.emplace_back(spec.width, spec.layer(i));
  if (spec.distances) distances = Distances(spec.width, *spec.distances);
  if (spec.final_norm) final_norm = Norm(spec.width, *spec.final_norm);
}

const RotaryTable* Stack::table_for(const RotarySpec& rotary, int64_t positions) const {
  // Only dynamic scaling depends on the length; every other table serves all shorter texts.
  const int64_t wanted = rotary.scaling == RotarySpec::Scaling::dynamic ? std::max(rotary.original_positions, positions)
                                                                        : std::max(spec.max_positions, positions);
  std::shared_ptr<MadeTable>* place = nullptr;
  for (auto& made : tables_)
    if (made->spec == rotary) place = &made;
  if (place == nullptr) place = &tables_.emplace_back();
  if (!*place || (*place)->table.cosine.size(0) != wanted)
    *place = std::make_shared<MadeTable>(MadeTable{rotary, rotary_table(rotary, wanted)});
  return &(*place)->table;
}

Tensor Stack::operator()(const Tensor& x, const Context& context) const {
  const int64_t before = context.cache == nullptr ? 0 : context.cache->length();
  const int64_t length = before + x.size(1);
  RelativeInputs relative;
  if (spec.distances) relative = distances(x.size(1), length, spec.block.attention.causal, context);
  Stream stream{x, {}};
  for (int64_t i = 0; i < spec.layers; ++i) {
    const Block& block = blocks[static_cast<size_t>(spec.order.empty() ? i : spec.order[static_cast<size_t>(i)])];
    const auto& rotary = block.spec.attention.rotary;
    const LayerInputs shared{.rotary = rotary ? table_for(*rotary, length) : nullptr,
                             .relative = spec.distances ? &relative : nullptr};
    if (context.checkpoint && context.training) {
      const auto run = [&block, i, context, shared](const Tensor& input) {
        return block({input, {}}, i, context, shared).value();
      };
      stream = {checkpoint(run, stream.value()), {}};
    } else {
      stream = block(std::move(stream), i, context, shared);
    }
  }
  if (context.cache != nullptr) context.cache->advance(x.size(1));
  if (!spec.final_norm) return stream.value();
  const Tensor y = stream.branch ? final_norm.add(stream.stream, stream.branch).y : final_norm(stream.stream);
  return context.tap("ln_final.hook_normalized", y);
}

void Stack::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i].visit(prefix + "blocks." + std::to_string(i), visitor);
  if (spec.distances) distances.visit(prefix + "distances", visitor);
  if (spec.final_norm) final_norm.visit(prefix + "final_norm", visitor);
}

}  // namespace qkv
