// An architecture as data: every choice that tells one transformer from another. A family fills it in from a
// config.json; the model, its parameter counts and its printed summary all follow from it.
#pragma once

#include "qkv/models/task.h"
#include "qkv/nn/embeddings.h"
#include "qkv/nn/heads.h"
#include "qkv/nn/stack.h"

#include <string>
#include <vector>

namespace qkv {

// What an encoder-decoder reads its source with (Vaswani et al. 2017). Its width is the decoder's.
struct EncoderSpec {
  int64_t vocab = 0;
  bool shared_tokens = true;  // with the decoder's embedding
  EmbeddingsSpec embeddings;
  StackSpec stack;
};

struct Spec {
  std::string family;  // "gpt2"
  Task task = Task::features;
  int64_t vocab = 0;
  EmbeddingsSpec embeddings;
  StackSpec stack;
  HeadsSpec heads;
  std::optional<EncoderSpec> encoder;  // then `embeddings` and `stack` are the decoder's
  int64_t decoder_start = -1;          // the token before a target's first
  bool starts_with_last = false;       // labels become decoder input with their last token in front (mBART's language)
  int64_t padding_id = -1;             // of targets; what stands for ignored labels when they become decoder input
  std::vector<int64_t> end_ids;        // tokens that end a text, for heads that read its last one (BART)
  bool hides_padding = false;          // the decoder does not see padding_id among its input (FSMT)
  // Which tokens are global where the input does not say (Longformer): none, the first, those before the first
  // separator, a question's, or those behind it and the one next to it, a choice's.
  enum class GlobalTokens : uint8_t { none, first, before_separator, behind_separators };
  GlobalTokens global_tokens = GlobalTokens::none;
  int64_t separator_id = -1;
  bool twin = false;  // retrieval: documents go through a model of their own, built like the queries'
  float init_std = 0.02F;
  bool older_names = false;          // the checkpoint has its family's older tensor names
  bool embeddings_shown = true;      // Hugging Face counts the embeddings' output among the hidden states
  bool scale_residual_init = false;  // residual matrices start smaller by sqrt(2 layers) (Radford et al. 2019)

  int64_t width() const { return stack.width; }
  int64_t layers() const { return stack.layers; }
  int64_t max_positions() const { return stack.max_positions; }  // 0 = no limit
  bool causal() const { return stack.block.causal(); }
  bool generates() const { return heads.language_model && (causal() || embeddings.query); }
};

// Throws Error (naming `where`) for sizes that contradict each other: width not divisible by heads, and so on.
void check_spec(const Spec& spec, const std::string& where);

}  // namespace qkv
