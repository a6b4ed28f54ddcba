// What a model is trained on: one loss for each task.
#include "qkv/core/error.h"
#include "qkv/models/model.h"
#include "qkv/ops/arithmetic.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/linear.h"
#include "qkv/ops/losses.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

// Places at or beyond `length` are ignored.
Tensor within(const Tensor& places, int64_t length) {
  std::vector<int32_t> kept = places.to_vector<int32_t>();
  for (int32_t& place : kept)
    if (place >= length || place < 0) place = ignored_target;
  return Tensor::from<int32_t>(places.shape(), kept);
}

Tensor rows_of(const Tensor& h) { return reshape(h, {h.numel() / h.size(-1), h.size(-1)}); }

}  // namespace

// Each query must find its document among the batch's, and each document its query.
Tensor Model::retrieval_loss(const Inputs& inputs, const Context& context) {
  if (!inputs.document_ids) throw Error("loss", "this task needs documents beside the queries");
  const auto both = vectors(inputs, context);
  const Tensor& queries = both[0].second;
  const Tensor& documents = both[1].second;
  std::vector<int32_t> own;
  for (int64_t i = 0; i < queries.size(0); ++i) own.push_back(static_cast<int32_t>(i));
  const Tensor targets = Tensor::from({queries.size(0)}, own);
  const float share = 0.5F / static_cast<float>(std::max<int64_t>(1, queries.size(0)));
  return add(cross_entropy(linear(queries, documents, {}), targets, share),
             cross_entropy(linear(documents, queries, {}), targets, share));
}

Tensor Model::language_model_loss(const Tensor& h, const Tensor& labels, int64_t tokens, const Context& context) const {
  const int64_t counted = count_targets(labels);
  const float scale = 1.0F / static_cast<float>(tokens > 0 ? tokens : std::max<int64_t>(1, counted));
  Tensor rows = rows_of(h);
  Tensor targets = labels.view({labels.numel()});
  // Masked language models predict a few places: only those go through the vocabulary.
  if (2 * counted < targets.numel()) {
    const int32_t* all = targets.data<int32_t>();
    std::vector<int32_t> places;
    std::vector<int32_t> kept;
    for (int64_t i = 0; i < targets.numel(); ++i)
      if (all[i] != ignored_target) {
        places.push_back(static_cast<int32_t>(i));
        kept.push_back(all[i]);
      }
    const Shape shape{static_cast<int64_t>(places.size())};
    rows = embedding(Tensor::from(shape, places), rows, rows.dtype());
    targets = Tensor::from(shape, kept);
  }
  if (spec_.heads.adaptive)
    return heads_.adaptive.loss(heads_.transformed(rows, context), targets, scale, context.label_smoothing);
  if (spec_.heads.logit_softcap > 0)
    return cross_entropy(heads_.logits(rows, context), targets, scale, context.label_smoothing);
  return linear_cross_entropy(heads_.transformed(rows, context), heads_.language_model.weight,
                              heads_.language_model.bias, targets, scale, context.label_smoothing);
}

Tensor Model::detector_loss(const Tensor& h, const Inputs& inputs, int64_t tokens, const Context& context) const {
  const std::vector<uint8_t> shown = inputs.attention_mask
                                         ? inputs.attention_mask.to_vector<uint8_t>()
                                         : std::vector<uint8_t>(static_cast<size_t>(inputs.labels.numel()), 1);
  const std::vector<float> labels = inputs.labels.to_vector<float>();
  std::vector<int32_t> places;
  std::vector<float> targets;
  for (size_t i = 0; i < labels.size(); ++i)
    if (shown[i] != 0) {
      places.push_back(static_cast<int32_t>(i));
      targets.push_back(labels[i]);
    }
  const int64_t count = static_cast<int64_t>(places.size());
  const Tensor rows = embedding(Tensor::from({count}, places), rows_of(h), h.dtype());
  const Tensor scores = heads_.classified(heads_.transformed(rows, context), context);
  return binary_cross_entropy(scores, Tensor::from({count, 1}, targets),
                              1.0F / static_cast<float>(std::max<int64_t>(1, tokens > 0 ? tokens : count)));
}

Tensor Model::classifier_loss(const Tensor& logits, const Tensor& labels, int64_t rows) const {
  using Problem = HeadsSpec::Problem;
  if (spec_.task == Task::sequence_classification && spec_.heads.problem != Problem::single_label) {
    const int64_t count = (rows > 0 ? rows : logits.size(0)) * spec_.heads.labels;
    const float scale = 1.0F / static_cast<float>(count);
    return spec_.heads.problem == Problem::regression ? squared_error(logits, labels, scale)
                                                      : binary_cross_entropy(logits, labels, scale);
  }
  const int64_t counted = count_targets(labels);
  const float scale = 1.0F / static_cast<float>(rows > 0 ? rows : std::max<int64_t>(1, counted));
  return cross_entropy(rows_of(logits), labels.view({labels.numel()}), scale);
}

Tensor Model::loss(const Inputs& inputs, const Context& context, LossCounts counts) {
  const ExpertsSpec* experts = spec_.stack.experts();
  const ExpertsSpec* encoder_experts = encoder_ ? spec_.encoder->stack.experts() : nullptr;
  const ExpertsSpec* any = experts != nullptr ? experts : encoder_experts;
  if (!context.training || !spec_.heads.language_model || any == nullptr || (any->balance == 0 && any->z == 0) ||
      context.routing != nullptr)
    return task_loss(inputs, context, counts);
  Context watched = context;
  std::vector<Routing> routing;
  watched.routing = &routing;
  Tensor loss = task_loss(inputs, watched, counts);
  // A micro-batch answers for its share of the step.
  const float share =
      counts.tokens > 0 ? static_cast<float>(count_targets(inputs.labels)) / static_cast<float>(counts.tokens) : 1.0F;
  for (const bool encoder : {true, false}) {
    std::vector<Routing> layers;
    for (const Routing& layer : routing)
      if (layer.part.empty() != encoder) layers.push_back(layer);
    const Tensor mask = encoder_ && !encoder ? inputs.decoder_attention_mask : inputs.attention_mask;
    if (!layers.empty())
      loss = add(loss, scale(routing_loss(layers, mask, encoder ? *encoder_experts : *experts), share));
  }
  return loss;
}

Tensor Model::task_loss(const Inputs& inputs, const Context& context, LossCounts counts) {
  if (spec_.task == Task::retrieval) return retrieval_loss(inputs, context);
  const Tensor h = hidden(inputs, context);
  const auto need = [](const Tensor& labels, std::string_view name) {
    if (!labels) throw Error("loss", fmt::format("this task needs {}", name));
  };
  switch (spec_.task) {
    case Task::features:
      throw Error("loss", "the bare model has no head and so no loss", "load a checkpoint with a head, or name a task");
    case Task::causal_lm:
    case Task::masked_lm:
    case Task::sequence_to_sequence:
      need(inputs.labels, "labels");
      return language_model_loss(h, inputs.labels, counts.tokens, context);
    case Task::pretraining: {
      need(inputs.labels, "labels");
      need(inputs.next_sentence, "next-sentence labels");
      const Tensor sentence = heads_.next_sentence(pooled(inputs, h, context));
      return add(language_model_loss(h, inputs.labels, counts.tokens, context),
                 classifier_loss(sentence, inputs.next_sentence, counts.sentences));
    }
    case Task::replaced_tokens:
      need(inputs.labels, "labels");
      return detector_loss(h, inputs, counts.tokens, context);
    case Task::question_answering: {
      need(inputs.start_positions, "start and end positions");
      const Tensor spans = classifier_logits(inputs, h, context);
      const auto half = [&](int which, const Tensor& places) {
        return scale(classifier_loss(select(spans, 2, which), within(places, h.size(1)), counts.sentences), 0.5F);
      };
      return add(half(0, inputs.start_positions), half(1, inputs.end_positions));
    }
    default:
      need(inputs.labels, "labels");
      return classifier_loss(classifier_logits(inputs, h, context), inputs.labels,
                             spec_.task == Task::token_classification ? counts.tokens : counts.sentences);
  }
}

}  // namespace qkv
