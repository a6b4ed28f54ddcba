// What stands on top of the stack.
#pragma once

#include "qkv/nn/context.h"
#include "qkv/nn/embeddings.h"
#include "qkv/nn/linear.h"
#include "qkv/nn/norm.h"

#include <optional>
#include <string>

namespace qkv {

struct HeadsSpec {
  // Language model: logits = cap(transform(h) W^T + b); W is the token embedding when tied.
  bool language_model = false;
  bool tied = false;
  bool adaptive = false;          // its softmax is adaptive, over the embedding's tables: logits are log probabilities
  std::string logits = "logits";  // their name among the outputs
  bool language_model_bias = false;
  bool fixed_bias = false;              // it is a buffer that is not trained (BART's final_logits_bias)
  float scale = 1;                      // of the activations before the product (T5's, where tied)
  std::optional<Activation> transform;  // a dense layer with activation before the product (BERT)
  int64_t transform_width = 0;          // of its result, where it differs from the model's
  bool transform_bias = true;
  std::optional<NormSpec> transform_norm;  // and a norm
  float logit_softcap = 0;                 // > 0: logits x become softcap tanh(x / softcap) (Gemma 2)
  // Which position stands for a whole row: the first (BERT), the last that the mask shows (XLNet), of those the last
  // that is no padding token (GPT-2), the last end token (BART).
  enum class Row : uint8_t { first, last, last_unpadded, last_end };
  Row row = Row::first;
  // It goes through a dense layer and an activation (BERT's pooler).
  bool pooler = false;
  int64_t pooler_width = 0;  // of the result, where it differs from the model's
  Activation pooler_activation = Activation::tanh;
  float pooler_dropout = 0;                                 // before it
  bool next_sentence = false;                               // two classes from the pooled vector
  std::string sentence_logits = "seq_relationship_logits";  // their name among the outputs
  int64_t projection = 0;  // > 0: the pooled vector is projected to so many numbers (RetriBERT)
  // Classifier over the row's vector, pooled or not, over every position, or over choices.
  int64_t labels = 0;
  bool classifier_bias = true;
  enum class Problem : uint8_t { single_label, multi_label, regression };
  Problem problem = Problem::single_label;
  float dropout = 0;  // before the classifier
};

struct Heads {
  HeadsSpec spec;
  Linear transform;
  Norm transform_norm;
  Linear language_model;  // its weight is the token embedding's handle when tied
  AdaptiveSoftmax adaptive;
  Linear pooler;
  Linear projection;
  Linear next_sentence;
  Linear classifier;

  Heads() = default;
  Heads(int64_t vocab, int64_t width, const HeadsSpec& heads_spec, const Embeddings& embeddings);
  // [.., D] -> [.., E], what the language model's product takes, and [.., V].
  Tensor transformed(const Tensor& h, const Context& context) const;
  Tensor logits(const Tensor& h, const Context& context) const;
  Tensor pooled(const Tensor& row, const Context& context) const;    // [B,D] -> [B,P]
  Tensor classified(const Tensor& h, const Context& context) const;  // [.., D] -> [.., labels], with dropout
  void visit(const std::string& prefix, const ParameterVisitor& visitor);
};

}  // namespace qkv
