// How text is generated. Names and meanings are those of transformers' GenerationConfig.
#pragma once

#include "qkv/models/config.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

enum class EarlyStopping : uint8_t {
  no,     // stop when a running beam can hardly beat the worst finished one
  yes,    // stop as soon as there are num_beams finished ones
  never,  // stop only when none can, at any length
};

// Beams, or continuations that are returned, of one prompt.
inline constexpr int64_t most_rows_of_a_prompt = 1024;

struct GenerationOptions {
  int64_t max_new_tokens = 128;
  int64_t min_new_tokens = 0;  // end tokens are held back until then
  // Sampling; without `sample` the likeliest token is taken.
  bool sample = false;
  float temperature = 1;
  int64_t top_k = 0;    // keep the k likeliest; 0 = all
  float top_p = 1;      // keep the smallest set whose probabilities reach p (Holtzman et al. 2019)
  float min_p = 0;      // keep those of at least min_p times the likeliest's probability
  float typical_p = 1;  // keep those whose surprise is nearest the entropy, up to p in all (Meister et al. 2022)
  uint64_t seed = 0;
  // Against repetition. In transformers, the padding of shorter prompts counts as said: for the n-gram ban always, for
  // the repetition penalty up to version 4. Here it does so only if its id is given, so that a batch gives what its
  // rows give alone.
  int32_t prompt_padding = -1;  // the id; -1 = padding is nothing
  bool penalise_padding = false;
  float repetition_penalty =
      1;  // logits of seen tokens: divided if positive, multiplied if negative (Keskar et al. 2019)
  float frequency_penalty = 0;  // subtracted once for each time generated
  float presence_penalty = 0;   // subtracted once if generated at all
  int64_t no_repeat_ngram_size = 0;
  // Beam search.
  int64_t num_beams = 1;
  int64_t num_beam_groups = 1;  // beams are searched in so many groups, one after the other at each step, and
  float diversity_penalty = 0;  // a token's score falls by this for each earlier group's beam that has just taken it
  int64_t num_return_sequences = 1;
  float length_penalty = 1;  // score = log probability / length^length_penalty
  EarlyStopping early_stopping = EarlyStopping::no;
  // Contrastive search, above 0: of the top_k likeliest tokens the one with the highest (1 - alpha) p - alpha s, where
  // s is the highest cosine between its hidden state and an earlier position's (Su et al. 2022).
  float penalty_alpha = 0;
  // Where it ends.
  std::vector<int32_t> end_ids;
  // What must and must not be said.
  int32_t decoder_start = -1;                         // encoder-decoders: the target's first token; -1: the model's own
  int32_t forced_first = -1;                          // the first new token (mBART's language)
  int32_t forced_last = -1;                           // the new token where the length ends
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to tokens' scores
  std::vector<std::vector<int32_t>> bad_words;        // sequences that are never completed
  // Tokens that may follow what has been said, the first `prompt` ids of it given and the others written; none = any.
  std::function<std::vector<int32_t>(std::span<const int32_t> said, size_t prompt)> allowed;
  std::vector<std::string> stop;  // strings; cut off the text, with what follows
};

// Among how many tokens contrastive search usually chooses.
constexpr int64_t usual_candidates = 4;

// Whether the options ask for contrastive search.
inline bool searches_contrastively(const GenerationOptions& options) { return options.penalty_alpha > 0; }

// Throws Error naming the option whose value makes no sense.
void check_options(const GenerationOptions& options);

// Overrides fields by the keys that a generation_config.json (or the arguments beside a golden run) holds. Unknown keys
// are passed over: the format has many that do not concern us.
void apply_generation_config(const Config& config, GenerationOptions& options);

}  // namespace qkv
