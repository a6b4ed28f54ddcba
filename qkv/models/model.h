// A model: embeddings, a stack and heads, put together as its Spec says.
#pragma once

#include "qkv/models/spec.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

// What goes in. Ids, masks and labels as Hugging Face has them, except that causal labels are already shifted:
// labels[b,t] is the token that should follow position t. -100 is ignored. Multiple choice: [B, choices, T].
struct Inputs {
  Tensor input_ids;       // i32 [B, T]
  Tensor attention_mask;  // u8 [B, S], 0 = padding; S counts cached positions too; undefined = nothing is padding
  Tensor token_type_ids;  // i32 [B, T]; undefined = 0
  Tensor position_ids;    // i32 [B, T]; undefined = 0, 1, ... behind the cache
  // Encoder-decoders: the ids above are the source's. Labels are not shifted: labels[b,t] is the target's token t.
  Tensor decoder_input_ids;       // i32 [B, T']; undefined = the labels, or without them the ids, moved right by one
  Tensor decoder_attention_mask;  // u8 [B, S'], as attention_mask
  Tensor decoder_position_ids;    // i32 [B, T'], as position_ids
  Tensor document_ids;            // i32 [B, T']: retrieval, the document that answers the query of the same row
  Tensor document_mask;           // u8 [B, T'], 0 = padding
  Tensor global_attention;        // u8 [B, T]: 1 = a global token (Longformer); undefined = as the task has it
  Tensor hidden_pairs;            // u8 [B, T, T]: 1 hides token s from position t (XLNet); undefined = none
  Tensor targets;                 // i32 [B, M]: positions to predict without seeing them (XLNet); labels are theirs
  Tensor labels;                  // i32 [B, T] or [B]; f32 for regression and several labels
  Tensor next_sentence;           // i32 [B]
  Tensor start_positions;         // i32 [B]
  Tensor end_positions;           // i32 [B]

  bool only_ids_and_labels() const;
};

// What a mean is taken over. A step of several micro-batches divides by the whole step's counts, so that
// accumulation gives the big batch's gradient. Zero: this batch's own.
struct LossCounts {
  int64_t tokens = 0;     // targets of the language model
  int64_t sentences = 0;  // rows, for sentence-level losses
};

// What is packed, and how.
struct PackOptions {
  bool in_place = false;  // matrices in blocks stay where they lie (packed_in_place()), for a few steps
  bool floats =
      false;  // as well as blocks, matrices of f32 and bf16: a copy of their numbers, which pays where many rows go
              // through, and where each row waits for the memory: the copy lies in large pages, a mapped file does not
  bool int8 = false;  // instead, these become 8-bit integers with a scale a row, and so do their inputs on the way
                      // (dynamic quantisation)
  float outlier = 0;  // with int8, columns of inputs beyond this stay f32 (LLM.int8()); 0: none
};

// A parameter whose numbers are fetched when it is packed, so that no model is in memory twice on the way.
struct LateParameter {
  DType dtype;
  std::function<Tensor()> value;
};
using LateParameters = std::map<std::string, LateParameter>;

// A tensor of the same shape without numbers, for a parameter that comes late: what the model had is given back.
inline Tensor without_numbers(const Tensor& parameter) {
  const NoMemory no_memory;
  return Tensor::empty(parameter.shape(), parameter.dtype());
}

class Model {
 public:
  explicit Model(const Spec& spec);  // parameters allocated, values arbitrary: call initialise() or load

  const Spec& spec() const { return spec_; }

  // Every parameter once, in a fixed order, with its dotted name.
  void visit(const ParameterVisitor& visitor);
  int64_t parameter_count();

  // Random start: each parameter from its own sub-sequence of the key, so that it does not depend on the others.
  void initialise(RandomKey key);
  // Makes every parameter record gradients.
  void require_grad();
  // Moves the parameters to a device; what runs on them runs there. Before require_grad().
  void to(Device device);
  Device device() const { return device_; }
  // Turns matrices and embeddings to a 16-bit type for inference: half the memory and bandwidth.
  void to_half(DType type);
  // Arranges matrices for the fastest inference (ops/packed.h). The model can then be neither trained nor saved. What
  // routes, and what makes the steps of a state space, stays as it is.
  void pack(const PackOptions& options = {}, const LateParameters& late = {});
  // Whether pack() rearranges a parameter that will be of this type.
  static bool packs(const std::string& name, const Tensor& parameter, Role role, DType type,
                    const PackOptions& options);

  // The stack's output, [B, T, D]; of an encoder-decoder its decoder's, which without input or labels of its own reads
  // the source moved right by one. When the context holds a memory, or a cache that knows it, the encoder does not run
  // again.
  Tensor hidden(const Inputs& inputs, Context context);
  // The encoder's output, [B, S, D].
  Tensor encode(const Inputs& inputs, Context context);

  // The head's results by Hugging Face's names: {"logits", ...}, {"start_logits", ...} ...
  std::vector<std::pair<std::string, Tensor>> outputs(const Inputs& inputs, const Context& context);

  // Language models: f32 scores of the vocabulary for some places of hidden(): h [.., D] -> [.., V].
  Tensor vocabulary_logits(const Tensor& h, const Context& context) const;

  // Language models: f32 logits of the last position, [B, V]. With a cache in the context, inputs hold only what is
  // new. Throws Error when the text is longer than the model's learned positions.
  Tensor next_logits(const Inputs& inputs, const Context& context);

  // The mean loss over the labels given, an f32 scalar on the tape. Sum over micro-batches when `counts` are the
  // step's. While training a language model, routers of experts add their load-balancing loss.
  Tensor loss(const Inputs& inputs, const Context& context, LossCounts counts = {});

 private:
  struct Encoder {
    Embeddings embeddings;
    Stack stack;
  };
  void visit_packable(const ParameterVisitor& visitor);
  Tensor run(const Embeddings& embeddings, const Stack& stack, const Inputs& inputs, Context& context) const;
  // With what the decoder reads of the encoder, unless the context or its cache has it already.
  Context with_memory(const Inputs& inputs, Context context);
  Inputs decoder_inputs(const Inputs& inputs, bool unmasked) const;
  Tensor task_loss(const Inputs& inputs, const Context& context, LossCounts counts);
  Tensor language_model_loss(const Tensor& h, const Tensor& labels, int64_t tokens, const Context& context) const;
  Tensor classifier_loss(const Tensor& logits, const Tensor& labels, int64_t rows) const;
  Tensor detector_loss(const Tensor& h, const Inputs& inputs, int64_t tokens, const Context& context) const;
  std::vector<std::pair<std::string, Tensor>> head_outputs(const Inputs& inputs, const Tensor& h,
                                                           const Context& context) const;
  // What stands for whole rows, [B, D]: h at the position that the heads' spec names.
  Tensor row_of(const Inputs& inputs, const Tensor& h) const;
  Tensor pooled(const Inputs& inputs, const Tensor& h, const Context& context) const;
  Tensor vector_of(const Inputs& inputs, const Context& context);
  Tensor retrieval_loss(const Inputs& inputs, const Context& context);
  std::vector<std::pair<std::string, Tensor>> vectors(const Inputs& inputs, const Context& context);
  Tensor classifier_logits(const Inputs& inputs, const Tensor& h, const Context& context) const;

  Spec spec_;
  Device device_;
  Embeddings embeddings_;
  Stack stack_;
  Heads heads_;
  std::unique_ptr<Model> documents_;  // where they have a model of their own
  std::optional<Encoder> encoder_;
};

}  // namespace qkv
