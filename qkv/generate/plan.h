// What a model will need and do on this machine, said before it is loaded.
#pragma once

#include "qkv/cuda/card_rates.h"
#include "qkv/generate/model_size.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

struct ModelPlan {
  int64_t parameters = 0;
  std::vector<PlannedWeight> weights;
  uint64_t weight_bytes = 0, cache_bytes = 0, scratch_bytes = 0;
  double cache_bytes_of_position = 0;

  // Of a new token behind `context - 1` others, each of `sequences` having one; and of one of a prompt's tokens that
  // are read together. Bytes are those of weights, keys and values that pass from memory; weights pass once for all.
  struct Work {
    double flops = 0, bytes = 0;
  };
  Work token, prompt_token;
  int64_t prompt = 0;  // tokens that are read together

  uint64_t memory = 0;  // what the model may take
  bool fits() const { return weight_bytes + cache_bytes + scratch_bytes <= memory; }
  std::string advice;  // where it does not fit
};

// From the headers of the model's files.
ModelPlan plan_model(const fs::path& model, const Spec& spec, const Use& use, uint64_t memory);

struct Prediction {
  double bandwidth = 0;  // bytes a second
  struct Product {
    std::string type;
    double bytes_a_second = 0;  // for a row of each sequence
    double flops_a_second = 0;  // for a prompt
  };
  std::vector<Product> products;
  double tokens_a_second = 0;  // of all sequences together
  double prompt_tokens_a_second = 0;
};

// Measures this machine for about two seconds, in at most a few hundred megabytes, and takes the rates together: the
// time of a step is that of its products by their types, its attention and its calls.
Prediction predict(const ModelPlan& plan, const Spec& spec, const Use& use);

// The most that a card of these rates can do: each token's bytes pass once, or its products take longer. None where the
// rates are not known.
std::optional<Prediction> most_on_card(const ModelPlan& plan, const Use& use, const cuda::CardRates& rates);

}  // namespace qkv
