#include "qkv/generate/decoding.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"

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

}  // namespace

Decoding::Decoding(Model& model, DType compute, const std::vector<std::vector<int32_t>>& prompts, int64_t new_tokens)
    : model_(model),
      cache_(model.spec().layers(), static_cast<int64_t>(prompts.size()), longest(prompts) + new_tokens) {
  context_.compute = compute;
  context_.cache = &cache_;
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
  }
  const Shape shape{static_cast<int64_t>(prompts.size()), length};
  run(Tensor::from(shape, ids), Tensor::from(shape, positions));
}

void Decoding::run(const Tensor& ids, const Tensor& positions) {
  const NoGrad no_grad;
  Inputs inputs{.input_ids = ids, .position_ids = positions};
  if (padded_) {
    std::vector<uint8_t> mask;
    for (const auto& row : masks_) mask.insert(mask.end(), row.begin(), row.end());
    inputs.attention_mask = Tensor::from({ids.size(0), static_cast<int64_t>(masks_[0].size())}, mask);
  }
  logits_ = model_.next_logits(inputs, context_);
}

std::vector<float> Decoding::logits(size_t row) const {
  return logits_.narrow(0, static_cast<int64_t>(row), 1).to_vector<float>();
}

void Decoding::advance(const std::vector<int32_t>& tokens) {
  const Shape shape{static_cast<int64_t>(tokens.size()), 1};
  const Tensor positions = Tensor::from(shape, lengths_);
  for (size_t i = 0; i < tokens.size(); ++i) {
    masks_[i].push_back(1);
    ++lengths_[i];
  }
  run(Tensor::from(shape, tokens), positions);
}

void Decoding::select_rows(const std::vector<int32_t>& sources) {
  bool same = sources.size() == rows();
  for (size_t i = 0; same && i < sources.size(); ++i) same = sources[i] == static_cast<int32_t>(i);
  if (same) return;
  cache_.select_rows(sources);
  std::vector<std::vector<uint8_t>> masks;
  std::vector<int32_t> lengths;
  std::vector<float> values;
  for (const int32_t source : sources) {
    masks.push_back(masks_[static_cast<size_t>(source)]);
    lengths.push_back(lengths_[static_cast<size_t>(source)]);
    const std::vector<float> row = logits(static_cast<size_t>(source));
    values.insert(values.end(), row.begin(), row.end());
  }
  logits_ = Tensor::from({static_cast<int64_t>(sources.size()), logits_.size(1)}, values);
  masks_ = std::move(masks);
  lengths_ = std::move(lengths);
}

}  // namespace qkv
