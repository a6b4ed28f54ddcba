// Contrastive search (Su et al. 2022, arXiv 2202.06417): of the likeliest tokens the one whose hidden state is least
// like those before it.
#pragma once

#include "qkv/generate/decoding.h"

namespace qkv {

// One continuation of each prompt. At each step the options' top_k likeliest tokens v (after penalties and bans; never
// a banned one) are read by the model, and the one with the highest
//   (1 - alpha) p(v) - alpha max_j cos(h_v, h_j)
// is taken: h_v is the model's last hidden state at v, h_j at an earlier position j, the prompt's included (of an
// encoder-decoder: of what its decoder has read). `decoding` holds the prompts and keeps hidden states; `prompts` are
// those that penalties see; `limit` is how many tokens may be added.
std::vector<std::vector<Continuation>> contrastive_search(Decoding& decoding,
                                                          const std::vector<std::vector<int32_t>>& prompts,
                                                          const GenerationOptions& options, int64_t limit,
                                                          const Generator::OnToken& on_token);

}  // namespace qkv
