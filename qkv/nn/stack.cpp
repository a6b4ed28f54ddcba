#include "qkv/nn/stack.h"

#include "qkv/ops/activation.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/reversible.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <bit>

namespace qkv {
namespace {

// The mask of the last `keys` keys; those before the given ones are seen.
Tensor mask_of_keys(const Tensor& mask, int64_t keys) {
  const int64_t known = mask.size(1);
  if (known == keys) return mask;
  if (known > keys) return clone(mask.narrow(1, known - keys, keys));
  std::vector<uint8_t> ones(static_cast<size_t>(mask.size(0) * (keys - known)), 1);
  return concat({Tensor::from({mask.size(0), keys - known}, ones), mask}, 1);
}

// The block's result, whose intermediates are computed again in the backward pass. What the layers share and carries
// gradients goes through checkpoint(), so that its own tape is played once.
Tensor recomputed(const Block& block, const Tensor& x, int64_t layer, const Context& context,
                  const LayerInputs& shared) {
  const auto run = [&block, layer, context, shared](std::span<const Tensor> inputs) {
    LayerInputs again = shared;
    again.position_bias = inputs[1];
    again.memory = inputs[2];
    return block({inputs[0], {}}, layer, context, again).value();
  };
  return checkpoint(run, {x, shared.position_bias, shared.memory});
}

// A context of 128k would take a quarter of a second and megabytes before the first token of a short text, so tables
// grow. Not on a device, where recorded work remembers where they lie.
int64_t rotary_table_rows(int64_t positions, int64_t most, Device device) {
  constexpr int64_t at_first = 4096;
  const int64_t whole = std::max(most, positions);
  if (device != Device()) return whole;
  return std::min(whole, std::max(at_first, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(positions)))));
}

}  // namespace

Stack::Stack(const StackSpec& stack_spec) : spec(stack_spec) {
  for (int64_t i = 0; i < spec.distinct(); ++i) blocks.emplace_back(spec.width, spec.layer(i));
  if (spec.distances) distances = Distances(spec.width, *spec.distances);
  if (spec.final_norm) final_norm = Norm(spec.output_width(), *spec.final_norm);
  const AttentionSpec& attention = spec.block.attention;
  if (attention.distance_bias) distance_bias = Tensor::empty({attention.distance_bias->buckets, attention.heads});
}

const RotaryTable* Stack::table_for(const RotarySpec& rotary, int64_t positions, Device device) const {
  const bool dynamic = rotary.scaling == RotarySpec::Scaling::dynamic;
  std::shared_ptr<MadeTable>* place = nullptr;
  for (auto& made : tables_)
    if (made->spec == rotary) place = &made;
  if (place == nullptr) place = &tables_.emplace_back();
  const int64_t made = *place ? (*place)->table.cosine.size(0) : 0;
  // Only dynamic scaling depends on the length; every other table serves all shorter texts.
  const int64_t scaled_to = std::max(rotary.original_positions, positions);
  if (made > 0 && (dynamic ? made == scaled_to : made >= positions)) return &(*place)->table;
  const int64_t wanted = dynamic ? scaled_to : rotary_table_rows(positions, spec.max_positions, device);
  if (*place && device != Device()) outgrown_.push_back(*place);
  *place = std::make_shared<MadeTable>(MadeTable{rotary, rotary_table(rotary, wanted)});
  return &(*place)->table;
}

// What each layer read of the segments before; empty when there is nothing.
std::vector<Tensor> Stack::past_of(const Tensor& x, const Context& context) const {
  if (context.past != nullptr && !context.past->states.empty()) {
    std::vector<Tensor> states;
    for (const Tensor& state : context.past->states) states.push_back(cast(state, x.dtype()));
    return states;
  }
  const bool begins = context.cache == nullptr || context.cache->length() == 0;
  if (!spec.past || !spec.past->zeros || !begins) return {};
  const Tensor zeros = Tensor::zeros({x.size(0), spec.past->length, spec.width}, x.dtype(), x.device());
  return std::vector<Tensor>(static_cast<size_t>(spec.layers), zeros);
}

// Adds what a layer reads to what it will remember.
void Stack::remember(const Tensor& past, const Tensor& x, const Context& context, Past& next) const {
  const NoGrad no_grad;
  const Tensor tokens = x.detach().narrow(1, 0, x.size(1) - context.streams.queries());
  const Tensor all = past ? concat({past.detach(), tokens}, 1) : tokens;
  const int64_t length = spec.past->length > 0 ? std::min(spec.past->length, all.size(1)) : all.size(1);
  next.states.push_back(clone(all.narrow(1, all.size(1) - length, length)));
}

// Both streams begin as x; they come back side by side.
Stream Stack::run_reversible(const Tensor& x, const Context& context) const {
  // The backward pass, which runs the layers again, must find the buckets of the first time.
  const auto buckets = std::make_shared<std::vector<Tensor>>(static_cast<size_t>(spec.layers));
  std::vector<ReversibleLayer> layers;
  for (int64_t i = 0; i < spec.layers; ++i) {
    const Block& block = blocks[static_cast<size_t>(i)];
    layers.push_back({[&block, i, context, buckets](const Tensor& h) {
                        return block.first_branch(h, i, context, (*buckets)[static_cast<size_t>(i)]);
                      },
                      [&block, i, context](const Tensor& h) { return block.second_branch(h, i, context); }});
  }
  const auto [first, second] = reversible(x, x, std::move(layers));
  const Tensor last = context.tap(spec.layers - 1, "hook_resid_post", second);
  return {concat({first, last}, 2), {}};
}

Tensor Stack::operator()(const Tensor& x, const Context& given) const {
  Context context = given;
  const int64_t before = context.cache == nullptr ? 0 : context.cache->length();
  const int64_t T = x.size(1) - context.streams.queries();
  const std::vector<Tensor> past = past_of(x, context);
  const int64_t M = past.empty() ? 0 : past[0].size(1);
  int64_t length = context.pages != nullptr ? context.pages->longest() : before + M + T;
  LayerInputs shared{.queries = context.streams.queries()};
  if (spec.past && spec.past->recalled >= 0 && before > spec.past->recalled)
    shared.keys = length = spec.past->recalled + T;
  if (spec.past && context.key_mask) context.key_mask = mask_of_keys(context.key_mask, length);
  if (spec.distances) {
    const bool queries = context.streams.queries() > 0;
    shared.relative = distances(T, length, spec.block.attention.causal, queries, context);
    shared.relative = with_streams(shared.relative, context.streams, context.key_mask, T);
    if (context.streams.hidden || context.streams.padding_sees_itself) context.key_mask = Tensor();
  }
  if (spec.block.attention.global) shared.global = global_tokens(context.global, context.key_mask);
  Past next;
  Stream stream{x, {}};
  const AttentionSpec& attention = spec.block.attention;
  if (attention.distance_bias)
    shared.position_bias =
        qkv::distance_bias(distance_bias, x.size(1), length, !attention.causal, *attention.distance_bias);
  shared.memory = context.memory;
  shared.memory_mask = context.memory_mask;
  const bool two_streams = spec.block.residual == Residual::reversible;
  if (two_streams) stream = run_reversible(x, context);
  for (int64_t i = 0; i < spec.layers && !two_streams; ++i) {
    const Block& block = blocks[static_cast<size_t>(spec.order.empty() ? i : spec.order[static_cast<size_t>(i)])];
    const auto& rotary = block.spec.attention.rotary;
    shared.rotary = rotary ? table_for(*rotary, length, x.device()) : nullptr;
    if (M > 0) shared.past = past[static_cast<size_t>(i)];
    if (context.past != nullptr && spec.past) {
      stream = {stream.value(), {}};
      remember(shared.past, stream.stream, context, next);
    }
    // What routers report must be of the run that is recorded.
    if (context.checkpoint && context.training && context.routing == nullptr) {
      stream = {recomputed(block, stream.value(), i, context, shared), {}};
    } else {
      stream = block(std::move(stream), i, context, shared);
    }
  }
  if (context.past != nullptr) *context.past = std::move(next);
  if (context.cache != nullptr) context.cache->advance(M + T - (context.rereads ? 1 : 0));
  const float p = context.training ? spec.final_dropout : 0;
  if (!spec.final_norm) return dropout(stream.value(), p, context.dropout_key(-1, 2));
  const Tensor y = stream.branch ? final_norm.add(stream.stream, stream.branch).y : final_norm(stream.stream);
  return context.tap("ln_final.hook_normalized", dropout(y, p, context.dropout_key(-1, 2)));
}

void Stack::visit(const std::string& prefix, const ParameterVisitor& visitor) {
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i].visit(prefix + "blocks." + std::to_string(i), visitor);
  if (spec.distances) distances.visit(prefix + "distances", visitor);
  if (distance_bias) visitor(prefix + "distance_bias", distance_bias, Role::embedding);
  if (spec.final_norm) final_norm.visit(prefix + "final_norm", visitor);
}

}  // namespace qkv
