// Generation: prompts in, continuations out, with a key/value cache.
#pragma once

#include "qkv/generate/options.h"
#include "qkv/models/model.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

struct Continuation {
  std::vector<int32_t> ids;              // new tokens, the end token included
  std::vector<float> log_probabilities;  // of each, under the model before any penalty or cut; empty for beam search
  double score = 0;                      // beam search: log probability / length^length_penalty
  bool ended = false;                    // by an end token, not by length
};

struct GenerationTimes {
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;
  int64_t new_tokens = 0;
  double decode_seconds = 0;
};

// How many of `wanted` tokens can be added to all of the prompts before the model's positions run out. Throws Error
// where not one can.
int64_t tokens_that_fit(const Spec& spec, const std::vector<std::vector<int32_t>>& prompts, int64_t wanted);

class Generator {
 public:
  // The model must be a causal language model or an encoder-decoder. `compute` is the dtype of activations, and of the
  // cache unless that is given (generate/cache_type.h).
  Generator(Model& model, DType compute, std::optional<DType> cache = {});

  // Called with (row, token) as soon as it is chosen; returning false ends that row. Not used by beam search.
  using OnToken = std::function<bool(size_t row, int32_t token)>;

  // For each prompt, num_return_sequences continuations; an encoder-decoder reads the prompt with its encoder. Prompts
  // of different lengths are padded on the left and masked. Throws Error for an empty prompt, one that leaves no
  // position for a new token, a model whose scores are not finite, and options.allowed that leaves no token.
  std::vector<std::vector<Continuation>> generate(const std::vector<std::vector<int32_t>>& prompts,
                                                  const GenerationOptions& options, const OnToken& on_token = {});

  const GenerationTimes& times() const { return times_; }

 private:
  friend class Decoding;
  std::vector<std::vector<Continuation>> one_by_one(const std::vector<std::vector<int32_t>>& prompts,
                                                    const GenerationOptions& options, const OnToken& on_token);
  Model& model_;
  DType compute_;
  std::optional<DType> cache_;
  GenerationTimes times_;
};

}  // namespace qkv
