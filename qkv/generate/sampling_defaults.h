// How a checkpoint wants its words to be chosen, where nobody says otherwise.
#pragma once

#include "qkv/core/files.h"
#include "qkv/core/json.h"
#include "qkv/generate/options.h"

#include <optional>

namespace qkv {

// What generation_config.json says of sampling. `do_sample` is passed over, as servers of OpenAI's API do: it is about
// transformers' own generate().
struct SamplingDefaults {
  std::optional<double> temperature;  // 0: the likeliest token each time
  std::optional<double> top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k;

  // Of a model's directory; nothing is said where it has no such file, and by GGUF files. Throws Error naming the file
  // and the key of a value beyond what a request may ask for.
  static SamplingDefaults read(const fs::path& model);

  // Sets what is said; the rest stays.
  void apply(GenerationOptions& options) const;

  // Of what is said, by the keys of the file.
  Json json() const;
};

// A temperature of 0, or nearly, would divide by nothing: it is the likeliest token each time.
void set_temperature(double temperature, GenerationOptions& options);
// The smallest part of the probability that top_p may ask for: 0 means the likeliest token alone.
void set_top_p(double top_p, GenerationOptions& options);

}  // namespace qkv
