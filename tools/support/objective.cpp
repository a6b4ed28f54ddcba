#include "tools/support/objective.h"

#include "qkv/core/error.h"
#include "qkv/data/causal_batches.h"
#include "qkv/data/masked_batches.h"
#include "qkv/data/permuted_batches.h"
#include "qkv/data/span_batches.h"

#include <algorithm>

namespace qkv {
namespace {

std::string sentinel(int64_t i) { return fmt::format("<extra_id_{}>", i); }

int32_t needed(const std::optional<int32_t>& id, const char* name) {
  if (!id)
    throw Error("tokenizer", fmt::format("has no {} token, which this objective needs", name),
                "use the checkpoint's own tokenizer, or --tokenizer bpe to make one");
  return *id;
}

MaskedOptions masked_options(const TrainRun& run, const Spec& spec, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  Masking masking{.mask_id = needed(special.mask, "[MASK]"), .vocabulary = tokenizer.vocab_size()};
  for (int64_t id = 0; id < masking.vocabulary; ++id)
    masking.special.push_back(tokenizer.is_special(static_cast<int32_t>(id)) ? 1 : 0);
  return {.rows = run.batch,
          .cls = needed(special.cls, "[CLS]"),
          .sep = needed(special.sep, "[SEP]"),
          .pad = needed(special.pad, "[PAD]"),
          .next_sentence = spec.task == Task::pretraining,
          .masking = masking};
}

SpanOptions span_options(const TrainRun& run, const Tokenizer& tokenizer) {
  const SpecialTokens& special = tokenizer.special();
  SpanOptions options{.rows = run.batch, .end = needed(special.eos, "</s>"), .pad = needed(special.pad, "<pad>")};
  for (int64_t i = 0; const auto id = tokenizer.id(sentinel(i)); ++i) options.sentinels.push_back(*id);
  if (options.sentinels.empty()) options.mask = needed(special.mask, "<extra_id_0> and no <mask>");
  return options;
}

}  // namespace

Objective objective_of(const TrainRun& run, const Spec& spec) {
  Objective objective = spec.encoder            ? Objective::spans
                        : spec.embeddings.query ? Objective::permuted
                        : spec.causal()         ? Objective::causal
                                                : Objective::masked;
  if (run.objective == "causal") objective = Objective::causal;
  if (run.objective == "masked") objective = Objective::masked;
  if (run.objective == "permuted") objective = Objective::permuted;
  if (run.objective == "spans") objective = Objective::spans;
  if (objective == Objective::permuted && !spec.embeddings.query)
    throw Error("--objective", "'permuted' needs a model with a stream of queries", "--family xlnet");
  if ((objective == Objective::spans) != spec.encoder.has_value())
    throw Error("--objective",
                objective == Objective::spans ? "'spans' needs an encoder-decoder"
                                              : fmt::format("an encoder-decoder does not learn '{}'", run.objective),
                objective == Objective::spans ? "--family t5" : "--objective spans");
  return objective;
}

std::vector<std::string> special_tokens_for(Objective objective, int64_t context) {
  if (objective == Objective::causal) return {"<|endoftext|>"};
  if (objective != Objective::spans) return {"<|endoftext|>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  std::vector<std::string> tokens = {"<pad>", "</s>", "<unk>"};
  // As many as spans are taken out of a row, T5's hundred at most.
  const SpanOptions usual;
  const int64_t spans = static_cast<int64_t>(usual.share * static_cast<double>(context) / usual.mean_span) + 1;
  for (int64_t i = 0; i < std::clamp<int64_t>(spans, 1, 100); ++i) tokens.push_back(sentinel(i));
  return tokens;
}

std::unique_ptr<Batches> batches_for(Objective objective, const TrainRun& run, const Spec& spec,
                                     const TokenStream& stream, const Tokenizer& tokenizer, int64_t length,
                                     bool evaluation) {
  const RandomKey key = RandomKey{run.options.seed}.child(evaluation ? 2 : 1);
  const int64_t limit = evaluation ? run.eval_batches : 0;
  const Visit visit = evaluation ? Visit::in_turn : Visit::shuffled;
  const auto fitted = [&](auto options) {
    options.length = length;
    options.visit = visit;
    options.limit = limit;
    options.key = key;
    return options;
  };
  switch (objective) {
    case Objective::masked:
      return std::make_unique<MaskedBatches>(stream, fitted(masked_options(run, spec, tokenizer)));
    case Objective::permuted:
      return std::make_unique<PermutedBatches>(stream, fitted(masked_options(run, spec, tokenizer)));
    case Objective::spans:
      return std::make_unique<SpanBatches>(stream, fitted(span_options(run, tokenizer)));
    default:
      return std::make_unique<CausalBatches>(
          stream, CausalOptions{.rows = run.batch,
                                .context = length,
                                .visit = !evaluation && run.sampling == "random" ? Visit::random : visit,
                                .limit = limit,
                                .key = key});
  }
}

}  // namespace qkv
