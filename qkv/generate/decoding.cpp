#include "qkv/generate/decoding.h"

#include "qkv/core/error.h"
#include "qkv/models/pass_kind.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

int64_t longest(const std::vector<std::vector<int32_t>>& prompts) {
  size_t length = 0;
  for (const auto& prompt : prompts) {
    if (prompt.empty()) throw Error("prompt", "is empty", "give at least one token");
    length = std::max(length, prompt.size());
  }
  return static_cast<int64_t>(length);
}

// Positions that the cache holds before the prompt's.
int64_t positions_before(const Spec& spec) {
  return spec.stack.past && spec.stack.past->zeros ? spec.stack.past->length : 0;
}

}  // namespace

Decoding::Decoding(Model& model, DType compute, std::optional<DType> cache,
                   const std::vector<std::vector<int32_t>>& prompts, int64_t new_tokens,
                   const std::vector<std::vector<int32_t>>& sources, bool keeps_hidden)
    : model_(model),
      cache_(model.spec().layers(), static_cast<int64_t>(prompts.size()),
             longest(prompts) + new_tokens + positions_before(model.spec()), cache),
      keeps_hidden_(keeps_hidden) {
  context_.compute = compute;
  if (!sources.empty()) encode(sources);
  context_.cache = &cache_;
  context_.rereads = model.spec().stack.past && model.spec().stack.past->rereads;
  const int64_t length = longest(prompts);
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  for (const auto& prompt : prompts) {
    const size_t padding = static_cast<size_t>(length) - prompt.size();
    padded_ = padded_ || padding > 0;
    std::vector<uint8_t> mask(padding, 0);
    mask.resize(static_cast<size_t>(length), 1);
    masks_.push_back(std::move(mask));
    ids.insert(ids.end(), padding, 0);
    ids.insert(ids.end(), prompt.begin(), prompt.end());
    positions.insert(positions.end(), padding, 0);
    for (size_t i = 0; i < prompt.size(); ++i) positions.push_back(static_cast<int32_t>(i));
    lengths_.push_back(static_cast<int32_t>(prompt.size()));
    if (context_.rereads) last_.push_back(prompt.back());
  }
  const Shape shape{static_cast<int64_t>(prompts.size()), length};
  run(Tensor::from(shape, ids), Tensor::from(shape, positions));
}

void Decoding::encode(const std::vector<std::vector<int32_t>>& sources) {
  const NoGrad no_grad;
  const size_t length = static_cast<size_t>(longest(sources));
  std::vector<int32_t> ids;
  std::vector<uint8_t> mask;
  bool padded = false;
  for (const auto& source : sources) {
    padded = padded || source.size() < length;
    ids.insert(ids.end(), source.begin(), source.end());
    ids.resize(ids.size() + length - source.size(), 0);
    mask.insert(mask.end(), source.size(), 1);
    mask.resize(ids.size(), 0);
  }
  const Shape shape{static_cast<int64_t>(sources.size()), static_cast<int64_t>(length)};
  Inputs inputs{.input_ids = Tensor::from(shape, ids)};
  if (padded) inputs.attention_mask = Tensor::from(shape, mask);
  context_.memory = model_.encode(inputs, context_);
  context_.memory_mask = inputs.attention_mask;
}

void Decoding::run(const Tensor& ids, const Tensor& positions) {
  const NoGrad no_grad;
  Inputs inputs{.input_ids = ids, .position_ids = positions};
  if (model_.spec().encoder) inputs = {.decoder_input_ids = ids, .decoder_position_ids = positions};
  if (padded_) {
    std::vector<uint8_t> mask;
    for (const auto& row : masks_) mask.insert(mask.end(), row.begin(), row.end());
    (model_.spec().encoder ? inputs.decoder_attention_mask : inputs.attention_mask) =
        Tensor::from({ids.size(0), static_cast<int64_t>(masks_[0].size())}, mask);
  }
  if (!keeps_hidden_) {
    logits_ = model_.next_logits(inputs, context_).to({});
    return;
  }
  const Tensor h = model_.hidden(inputs, context_);
  logits_ = model_.vocabulary_logits(select(h, 1, h.size(1) - 1), context_).to({});
  hidden_ = cast(h, DType::f32);
}

std::span<const float> Decoding::logits(size_t row) const {
  const size_t width = static_cast<size_t>(logits_.size(1));
  return {logits_.data<float>() + row * width, width};
}

Tensor Decoding::hidden(size_t row) const {
  const int64_t length = std::min<int64_t>(hidden_.size(1), lengths_[row]);
  return select(hidden_.narrow(0, static_cast<int64_t>(row), 1), 0, 0).narrow(0, hidden_.size(1) - length, length);
}

bool Decoding::replays() const {
  return model_.device().type == Device::Type::cuda && !padded_ && !keeps_hidden_ && !reorders_ &&
         passes_alike(model_.spec());
}

void Decoding::advance(const std::vector<int32_t>& tokens) {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (context_.rereads) {
      ids.push_back(last_[i]);
      positions.push_back(lengths_[i] - 1);
      last_[i] = tokens[i];
    }
    ids.push_back(tokens[i]);
    positions.push_back(lengths_[i]);
    masks_[i].push_back(1);
    ++lengths_[i];
  }
  if (replays()) {
    if (!replayed_) replayed_ = std::make_unique<ReplayedStep>(model_, context_);
    const NoGrad no_grad;
    if (const Tensor logits = replayed_->run(ids, positions)) {
      logits_ = logits.to({});
      return;
    }
  }
  const Shape shape{std::ssize(tokens), context_.rereads ? 2 : 1};
  run(Tensor::from(shape, ids), Tensor::from(shape, positions));
}

void Decoding::select_rows(const std::vector<int32_t>& sources, bool scored) {
  bool same = sources.size() == rows();
  for (size_t i = 0; same && i < sources.size(); ++i) same = sources[i] == static_cast<int32_t>(i);
  if (same) return;
  reorders_ = reorders_ || replayed_ != nullptr;  // as beams do again and again: each time it would be recorded anew
  replayed_.reset();
  cache_.select_rows(sources);
  std::vector<std::vector<uint8_t>> masks;
  std::vector<int32_t> lengths;
  std::vector<int32_t> last;
  for (const int32_t source : sources) {
    masks.push_back(masks_[static_cast<size_t>(source)]);
    lengths.push_back(lengths_[static_cast<size_t>(source)]);
    if (!last_.empty()) last.push_back(last_[static_cast<size_t>(source)]);
  }
  logits_ = !scored ? Tensor() : embedding(Tensor::from({std::ssize(sources)}, sources), logits_, DType::f32);
  hidden_ = Tensor();
  masks_ = std::move(masks);
  lengths_ = std::move(lengths);
  last_ = std::move(last);
}

}  // namespace qkv
