// Small models of every family that writes, and what they say without a cache: the whole text through the model again.
#pragma once

#include "qkv/models/family.h"
#include "qkv/models/model.h"
#include "qkv/ops/autograd.h"
#include "qkv/tensor/device.h"

#include <memory>
#include <numeric>

namespace qkv {

constexpr int32_t vocab = 31;
using Ids = std::vector<int32_t>;

inline std::vector<std::string> writing_families() {
  std::vector<std::string> names;
  for (const Family* family : all_families())
    if (family->config != nullptr && spec_of(Config(family->config({.vocab = 8}), "test")).generates())
      names.emplace_back(family->type);
  return names;
}

inline bool on_gpu() { return default_device().type == Device::Type::cuda; }

inline std::unique_ptr<Model> model_of(const std::string& family, uint64_t seed = 3, int64_t context = 32) {
  const Sizes sizes{.vocab = vocab, .context = context, .layers = 2, .heads = 2, .width = 16};
  auto model = std::make_unique<Model>(spec_of(Config(family_named(family, "test").config(sizes), "test")));
  model->initialise(RandomKey{seed});
  // A fresh model is so unsure that rounding would decide; these weights have opinions.
  model->visit([](const std::string&, Tensor& value, Role role) {
    if (role != Role::matrix && role != Role::residual_matrix && role != Role::embedding) return;
    for (int64_t i = 0; i < value.numel(); ++i) value.data<float>()[i] *= 12;
  });
  model->to(default_device());
  return model;
}

// `ids` begins with the prompt, which an encoder-decoder reads apart from what it has generated.
inline Inputs whole_inputs(Model& model, const Ids& ids, size_t prompt) {
  Inputs inputs{.input_ids = Tensor::from<int32_t>({1, std::ssize(ids)}, ids)};
  if (model.spec().encoder) {
    const Ids source(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(prompt));
    Ids target(ids.begin() + static_cast<ptrdiff_t>(prompt), ids.end());
    target.insert(target.begin(), static_cast<int32_t>(model.spec().decoder_start));
    inputs = {.input_ids = Tensor::from<int32_t>({1, std::ssize(source)}, source),
              .decoder_input_ids = Tensor::from<int32_t>({1, std::ssize(target)}, target)};
    // In decoding, nothing that was generated is padding.
    inputs.decoder_attention_mask =
        Tensor::from(inputs.decoder_input_ids.shape(), std::vector<uint8_t>(target.size(), 1));
    std::vector<int32_t> places(target.size());
    std::iota(places.begin(), places.end(), 0);
    inputs.decoder_position_ids = Tensor::from(inputs.decoder_input_ids.shape(), places);
  }
  return inputs;
}

inline std::vector<float> recomputed_logits(Model& model, const Ids& ids, size_t prompt) {
  const NoGrad no_grad;
  const std::vector<float> all = model.outputs(whole_inputs(model, ids, prompt), {})[0].second.to_vector<float>();
  return {all.end() - vocab, all.end()};
}

}  // namespace qkv
