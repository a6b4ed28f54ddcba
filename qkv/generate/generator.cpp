#include "qkv/generate/generator.h"

#include "qkv/core/clock.h"
#include "qkv/core/error.h"
#include "qkv/core/threads.h"
#include "qkv/generate/beam_search.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/choice.h"
#include "qkv/generate/contrastive_search.h"
#include "qkv/generate/decoding.h"
#include "qkv/generate/sampling.h"

#include <algorithm>

namespace qkv {
namespace {

// Of an encoder-decoder's target.
int32_t first_token(const Spec& spec, const GenerationOptions& options) {
  const int64_t token = options.decoder_start >= 0 ? options.decoder_start : spec.decoder_start;
  if (token < 0 || token >= spec.vocab)
    throw Error("decoder-start", fmt::format("token {} is not in the vocabulary of {}", token, spec.vocab),
                "give the token that the target begins with, such as its language");
  return static_cast<int32_t>(token);
}

// The prompts as penalties see them.
std::vector<std::vector<int32_t>> seen_prompts(std::vector<std::vector<int32_t>> prompts, int32_t padding) {
  if (padding < 0) return prompts;
  size_t length = 0;
  for (const auto& prompt : prompts) length = std::max(length, prompt.size());
  for (auto& prompt : prompts) prompt.insert(prompt.begin(), length - prompt.size(), padding);
  return prompts;
}

bool equally_long(const std::vector<std::vector<int32_t>>& prompts) {
  return std::all_of(prompts.begin(), prompts.end(),
                     [&](const auto& prompt) { return prompt.size() == prompts[0].size(); });
}

// One sequence of greedy or sampled decoding.
struct SampledRow {
  std::vector<int32_t> ids;  // prompt and continuation
  size_t prompt;
  Random random;
  Continuation result;
  bool done = false;
};

int32_t choose(SampledRow& row, std::span<const float> logits, const GenerationOptions& options) {
  const LogProbabilities scores(logits);
  if (!scores.finite())
    throw Error("model", "its scores are not finite numbers", "the weights are damaged, or training had diverged");
  const int32_t token = choose_token(logits, row.ids, row.prompt, options, row.random);
  if (token < 0) throw Error("generate", nothing_allowed);
  row.result.log_probabilities.push_back(scores.of(token));
  row.result.ids.push_back(token);
  row.ids.push_back(token);
  return token;
}

}  // namespace

int64_t tokens_that_fit(const Spec& spec, const std::vector<std::vector<int32_t>>& prompts, int64_t wanted) {
  if (spec.max_positions() == 0) return wanted;
  size_t length = 0;
  for (const auto& prompt : prompts) length = std::max(length, prompt.size());
  const int64_t left = spec.max_positions() - static_cast<int64_t>(length);
  if (left < 1)
    throw Error("prompt", fmt::format("has {} tokens, and the model has {} positions", length, spec.max_positions()),
                "shorten the prompt");
  return std::min(wanted, left);
}

Generator::Generator(Model& model, DType compute, std::optional<DType> cache)
    : model_(model), compute_(compute), cache_(cache) {
  check_cache_type(model.spec(), cache);
  if (!model.spec().generates())
    throw Error("generate", fmt::format("this model is a {}, which writes no text", name_of(model.spec().task)),
                "name a model such as GPT-2, Llama or T5 with its language-model head");
}

std::vector<std::vector<Continuation>> Generator::generate(const std::vector<std::vector<int32_t>>& given,
                                                           const GenerationOptions& wanted, const OnToken& on_token) {
  check_options(wanted);
  if (searches_contrastively(wanted) && model_.spec().embeddings.query)
    throw Error("penalty-alpha",
                "this model asks for a token before it is there, so it has no hidden state to contrast",
                "leave contrastive search off");
  if (model_.spec().stack.past && model_.spec().stack.past->zeros && !equally_long(given))
    return one_by_one(given, wanted, on_token);
  times_ = {};
  for (const auto& prompt : given) times_.prompt_tokens += static_cast<int64_t>(prompt.size());
  // What an encoder reads is a source; its decoder begins with one token.
  const bool encodes = model_.spec().encoder.has_value();
  const std::vector<std::vector<int32_t>> prompts =
      encodes ? std::vector<std::vector<int32_t>>(given.size(), {first_token(model_.spec(), wanted)}) : given;
  GenerationOptions options = wanted;
  options.max_new_tokens = tokens_that_fit(model_.spec(), prompts, wanted.max_new_tokens);
  const int64_t limit = options.max_new_tokens;
  const auto prompt_start = Clock::now();
  Decoding decoding(model_, compute_, cache_, prompts, limit, encodes ? given : std::vector<std::vector<int32_t>>(),
                    searches_contrastively(options));
  times_.prompt_seconds = seconds_since(prompt_start);
  const auto decode_start = Clock::now();
  const std::vector<std::vector<int32_t>> seen = seen_prompts(prompts, options.prompt_padding);
  if (options.num_beams > 1 || searches_contrastively(options)) {
    auto results = options.num_beams > 1 ? beam_search(decoding, seen, options, limit)
                                         : contrastive_search(decoding, seen, options, limit, on_token);
    for (const auto& of_prompt : results)
      for (const Continuation& c : of_prompt) times_.new_tokens += static_cast<int64_t>(c.ids.size());
    times_.decode_seconds = seconds_since(decode_start);
    return results;
  }

  std::vector<SampledRow> rows;
  std::vector<int32_t> sources;
  for (size_t p = 0; p < prompts.size(); ++p)
    for (int64_t r = 0; r < options.num_return_sequences; ++r) {
      // Each sequence has its own random numbers, whatever else is in the batch.
      rows.push_back({seen[p], seen[p].size(), Random(RandomKey{options.seed}.child(static_cast<uint64_t>(r))), {}});
      sources.push_back(static_cast<int32_t>(p));
    }
  decoding.select_rows(sources);
  for (int64_t step = 0; step < limit; ++step) {
    std::vector<int32_t> tokens(rows.size(), 0);
    bool all_done = true;
    // What is allowed may be asked of a function that is not made for several threads.
    parallel_for(std::ssize(rows), options.allowed ? std::ssize(rows) : 1, [&](int64_t begin, int64_t end) {
      for (size_t i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        if (!rows[i].done) tokens[i] = choose(rows[i], decoding.logits(i), options);
    });
    for (size_t i = 0; i < rows.size(); ++i) {
      SampledRow& row = rows[i];
      if (row.done) continue;
      ++times_.new_tokens;
      row.result.ended = std::find(options.end_ids.begin(), options.end_ids.end(), tokens[i]) != options.end_ids.end();
      row.done = row.result.ended || (on_token && !on_token(i, tokens[i]));
      all_done = all_done && row.done;
    }
    if (all_done || step + 1 == limit) break;
    decoding.advance(tokens);
  }
  times_.decode_seconds = seconds_since(decode_start);
  std::vector<std::vector<Continuation>> results(prompts.size());
  for (size_t i = 0; i < rows.size(); ++i)
    results[static_cast<size_t>(sources[i])].push_back(std::move(rows[i].result));
  return results;
}

// Padding would stand between a prompt and the zeros before it.
std::vector<std::vector<Continuation>> Generator::one_by_one(const std::vector<std::vector<int32_t>>& prompts,
                                                             const GenerationOptions& options,
                                                             const OnToken& on_token) {
  std::vector<std::vector<Continuation>> results;
  GenerationTimes total;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const size_t first = i * static_cast<size_t>(options.num_return_sequences);
    const OnToken moved = [&, first](size_t row, int32_t token) { return on_token(first + row, token); };
    results.push_back(generate({prompts[i]}, options, on_token ? moved : OnToken())[0]);
    total.prompt_tokens += times_.prompt_tokens;
    total.prompt_seconds += times_.prompt_seconds;
    total.new_tokens += times_.new_tokens;
    total.decode_seconds += times_.decode_seconds;
  }
  times_ = total;
  return results;
}

}  // namespace qkv
