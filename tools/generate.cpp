// qkv generate MODEL: text from prompts.
#include "qkv/core/error.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/checkpoint_options.h"
#include "qkv/generate/generator.h"
#include "qkv/generate/model_size.h"
#include "qkv/generate/stop_strings.h"
#include "qkv/io/model_source.h"
#include "qkv/io/hugging_face.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/models/compute_type.h"
#include "qkv/text/tokenizer.h"
#include "tools/commands.h"
#include "tools/support/cache_option.h"
#include "tools/support/checks.h"
#include "tools/support/constraint_options.h"
#include "tools/support/dtype_option.h"
#include "tools/support/int8_options.h"
#include "tools/support/scheduler_run.h"
#include "tools/support/signals.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>

namespace qkv {
namespace {

struct GenerateCommand {
  std::string directory;
  std::vector<std::string> prompts;
  std::string prompt_file;
  std::string dtype = "auto", cache;
  DType compute = DType::f32;  // what it comes to
  PackOptions pack;
  GenerationOptions generation;
  std::string early_stopping = "no";
  ConstraintOptions constraints;
  DraftOptions drafts;
  std::string overflow = "refuse";
  int64_t context = 0;
  bool greedy = false;
  bool ignore_end = false;
  bool json = false;
  bool quiet = false;
};

std::vector<std::string> prompts_of(const GenerateCommand& options) {
  std::vector<std::string> prompts = options.prompts;
  if (!options.prompt_file.empty()) {
    std::string text = options.prompt_file == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                                                  : read_file(options.prompt_file);
    if (!text.empty() && text.back() == '\n') text.pop_back();
    prompts.push_back(text);
  }
  if (prompts.empty()) prompts.emplace_back();
  return prompts;
}

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, const std::string& prompt) {
  std::vector<int32_t> ids = tokenizer.encode_ids(prompt);
  const SpecialTokens& special = tokenizer.special();
  const std::optional<int32_t> start = special.bos ? special.bos : special.eos;
  // Without words the model starts where a text starts.
  if (ids.empty() && start) ids.push_back(*start);
  if (ids.empty())
    throw Error("--prompt", "is empty, and the tokenizer has no token for the beginning of a text", "give a prompt");
  return ids;
}

// Prints one continuation as it grows; true while it may go on.
class Writer {
 public:
  Writer(const Tokenizer& tokenizer, const std::vector<std::string>& stop, bool echo)
      : decoder_(tokenizer), stop_(stop), echo_(echo) {}
  bool push(int32_t id) {
    write(stop_.push(decoder_.push(id)));
    return !stop_.stopped();
  }
  void finish() {
    if (!stop_.stopped()) write(stop_.push(decoder_.finish()));
    write(stop_.finish());
  }
  const std::string& text() const { return text_; }

 private:
  void write(const std::string& piece) {
    text_ += piece;
    if (!echo_) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  }
  StreamDecoder decoder_;
  StopStrings stop_;
  bool echo_;
  std::string text_;
};

void print_times(const GenerationTimes& times) {
  const auto rate = [](int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  fmt::print(stderr, "prompt {} tokens, {:.1f} tokens/s; generated {} tokens, {:.1f} tokens/s\n", times.prompt_tokens,
             rate(times.prompt_tokens, times.prompt_seconds), times.new_tokens,
             rate(times.new_tokens, times.decode_seconds));
}

// What to pack. A copy of matrices of f32 and bf16 pays from some thirty tokens of a prompt or an answer on; one of
// matrices in blocks, which are read once a step, from some steps on.
void choose_packing(GenerateCommand& options, const std::vector<std::vector<int32_t>>& ids) {
  const GenerationOptions& g = options.generation;
  int64_t tokens = g.max_new_tokens * std::max(g.num_beams, g.num_return_sequences);
  for (const std::vector<int32_t>& prompt : ids) tokens += std::ssize(prompt);
  options.pack.floats = tokens >= 32;
  options.pack.in_place = g.max_new_tokens < 8;
}

bool slides(const GenerateCommand& options) { return options.overflow == "slide"; }
bool needs_scheduler(const GenerateCommand& options) { return slides(options) || options.drafts.any(); }

// Positions of a text: the longest prompt and what is written behind it, as far as the model goes, or what slides.
int64_t context_of(const GenerateCommand& options, const Spec& spec, const std::vector<std::vector<int32_t>>& ids) {
  if (slides(options)) return engine_context(spec, {.context = options.context});
  size_t longest = 0;
  for (const auto& prompt : ids) longest = std::max(longest, prompt.size());
  const int64_t own = spec.max_positions();
  const int64_t context = static_cast<int64_t>(longest) + options.generation.max_new_tokens;
  return own > 0 ? std::min(own, context) : context;
}

void check_scheduler(const GenerateCommand& options, const Spec& spec) {
  if (options.context > 0 && !slides(options)) throw Error("--context", "is for --overflow slide");
  if (options.context == 1) throw Error("--context", "must be at least 2, or 0 for the model's");
  if (!needs_scheduler(options)) return;
  if (options.generation.num_beams > 1 || searches_contrastively(options.generation))
    throw Error(slides(options) ? "--overflow" : "--drafts, --draft", "does not go with a search",
                "leave out --beams and --penalty-alpha");
  check_drafts(options.drafts, spec);
  if (!batches_continuously(spec))
    throw Error("--overflow", "slides the context of decoders whose state is keys and values alone",
                "write with this model without it");
}

// For every text that is written together.
void check_room(const GenerateCommand& options, const Spec& spec, const std::vector<std::vector<int32_t>>& ids) {
  const GenerationOptions& g = options.generation;
  const int64_t rows = std::max(g.num_beams, g.num_return_sequences);
  if (!spec.generates() || rows > most_rows_of_a_prompt) return;  // check_options() says so
  if (!spec.encoder && !slides(options)) tokens_that_fit(spec, ids, g.max_new_tokens);
  const Use use{.compute = options.compute,
                .cache = cache_type_named(options.cache),
                .packing = options.pack,
                .context = context_of(options, spec, ids),
                .sequences = std::ssize(ids) * rows};
  check_memory(options.directory, spec, use, options.drafts.model.empty() ? 0 : draft_bytes(options.drafts.model, use));
}

void generate(GenerateCommand options) {
  auto open = keep_open(options.directory);
  const Config config = read_config(options.directory);
  const Spec spec = spec_of(config);
  options.compute = compute_type_named(options.dtype, config);
  const Tokenizer tokenizer = load_tokenizer(options.directory);
  const std::vector<std::string> prompts = prompts_of(options);
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& prompt : prompts) ids.push_back(encode_prompt(tokenizer, prompt));
  choose_packing(options, ids);
  if (spec.generates()) check_scheduler(options, spec);
  check_room(options, spec, ids);
  LoadedModel loaded =
      load_model(options.directory, {.in_place = true, .matrices = options.compute, .pack = options.pack});
  open.reset();
  GenerationOptions settings = options.generation;
  check_tokenizer_fits(tokenizer, loaded.model->spec().vocab, options.directory);
  const GenerationOptions from_files = checkpoint_options(loaded.config, options.directory, tokenizer);
  settings.end_ids = from_files.end_ids;
  settings.decoder_start = from_files.decoder_start;
  settings.forced_first = from_files.forced_first;
  settings.forced_last = from_files.forced_last;
  settings.bad_words = from_files.bad_words;
  if (options.ignore_end) settings.end_ids.clear();
  settings.sample = settings.num_beams == 1 && !options.greedy && !searches_contrastively(settings);
  settings.early_stopping = options.early_stopping == "yes"     ? EarlyStopping::yes
                            : options.early_stopping == "never" ? EarlyStopping::never
                                                                : EarlyStopping::no;

  apply_constraints(read_constraints(options.constraints), tokenizer, settings);
  check_options(settings);

  std::optional<SchedulerRun> scheduled;
  if (needs_scheduler(options)) {
    const Spec& own = loaded.model->spec();
    const EngineOptions how{.compute = options.compute,
                            .cache = cache_type_named(options.cache),
                            .context = context_of(options, own, ids),
                            .max_batch = std::ssize(ids) * settings.num_return_sequences,
                            .drafts = options.drafts.count()};
    // As without guesses, texts that are written together end together.
    if (!slides(options)) settings.max_new_tokens = tokens_that_fit(own, ids, settings.max_new_tokens);
    scheduled.emplace(*loaded.model, options.drafts, how, slides(options) ? Overflow::slide : Overflow::refuse);
  }

  const size_t per_prompt = static_cast<size_t>(settings.num_return_sequences);
  const bool stream = !options.json && settings.num_beams == 1 && prompts.size() * per_prompt == 1;
  std::vector<Writer> writers(prompts.size() * per_prompt, Writer(tokenizer, settings.stop, stream));
  // What an encoder reads is not the beginning of what its decoder writes.
  const bool continues = !loaded.model->spec().encoder;
  if (stream && continues) {
    std::fwrite(prompts[0].data(), 1, prompts[0].size(), stdout);
    std::fflush(stdout);
  }
  const std::atomic<bool>& stop = stop_requested();
  const auto on_token = [&](size_t row, int32_t token) { return writers[row].push(token) && !stop; };
  GenerationTimes times;
  std::vector<std::vector<Continuation>> results;
  if (scheduled) {
    results = scheduled->write(ids, settings, on_token, times);
  } else {
    Generator generator(*loaded.model, options.compute, cache_type_named(options.cache));
    results = generator.generate(ids, settings, on_token);
    times = generator.times();
  }

  int64_t filled = 0;  // positions, where a text ended for want of more
  for (size_t p = 0; p < results.size(); ++p)
    for (size_t r = 0; r < results[p].size(); ++r) {
      const Continuation& c = results[p][r];
      if (continues && !c.ended && !slides(options) && std::ssize(c.ids) < options.generation.max_new_tokens &&
          std::ssize(ids[p]) + std::ssize(c.ids) == spec.max_positions())
        filled = spec.max_positions();
      Writer& writer = writers[p * per_prompt + r];
      if (settings.num_beams > 1)
        for (const int32_t id : c.ids)
          if (!writer.push(id)) break;
      writer.finish();
      if (options.json) {
        Json line = {{"prompt", prompts[p]},
                     {"text", writer.text()},
                     {"prompt_ids", ids[p]},
                     {"ids", c.ids},
                     {"finish", c.ended ? "end" : "length"}};
        if (settings.num_beams > 1) {
          line["score"] = c.score;
        } else {
          line["log_probabilities"] = c.log_probabilities;
        }
        fmt::print("{}\n", line.dump());
      } else if (stream) {
        fmt::print("\n");
      } else {
        fmt::print("{}{}{}\n", p + r > 0 ? "---\n" : "", continues ? prompts[p] : "", writer.text());
      }
    }
  std::fflush(stdout);
  if (options.quiet) return;
  if (filled > 0) fmt::print(stderr, "note: the model's {} positions are full\n", filled);
  if (scheduled) scheduled->print_guesses();
  print_times(times);
}

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "let a language model write");
  command->group("Models");
  auto o = std::make_shared<GenerateCommand>();
  GenerationOptions& g = o->generation;
  g.temperature = 0.8F;
  g.top_k = 200;
  command->add_option("model", o->directory, "a model directory, or a GGUF file")->required()->type_name("MODEL");
  command->add_option("-p,--prompt", o->prompts, "what the text begins with; given several times: a batch")
      ->type_name("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--prompt-file", o->prompt_file, "read the prompt from a file (-: standard input)")
      ->type_name("FILE");
  std::string group = "Options";
  const auto number = [&](const char* name, auto& value, const char* help) {
    return command->add_option(name, value, help)->capture_default_str()->group(group);
  };
  number("-n,--max-new-tokens", g.max_new_tokens, "write at most so many tokens");
  number("--min-new-tokens", g.min_new_tokens, "do not end before so many");
  command->add_option("--stop", g.stop, "end before this string; may be given several times")
      ->type_name("TEXT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--ignore-end", o->ignore_end, "go on after end-of-text tokens");
  number("--return-sequences", g.num_return_sequences, "so many continuations of each prompt");
  add_dtype_option(*command, o->dtype);
  add_cache_option(*command, o->cache);
  add_int8_options(*command, o->pack);
  add_threads_option(*command);
  add_device_option(*command);

  command
      ->add_option("--overflow", o->overflow,
                   "a full context: refuse to go on, or slide: forget the oldest half of it and read the rest again")
      ->capture_default_str()
      ->check(CLI::IsMember({"refuse", "slide"}));
  command
      ->add_option("--context", o->context,
                   "tokens of the context that slides, at least 2 (0: as the model has it, at most 4096)")
      ->capture_default_str()
      ->check(at_least(0));

  group = "Speed";
  add_draft_options(*command, o->drafts, group);

  group = "Choice of the next token";
  command->add_flag("--greedy", o->greedy, "always the likeliest token, no chance")->group(group);
  number("--seed", g.seed, "the same seed gives the same text")->check(at_least(0));
  number("--temperature", g.temperature, "above 1 wilder, below 1 tamer");
  number("--top-k", g.top_k, "draw from the k likeliest tokens (0: all)");
  number("--top-p", g.top_p, "draw from the likeliest tokens that make up this probability");
  number("--min-p", g.min_p, "draw from tokens at least this share as likely as the likeliest");
  number("--typical-p", g.typical_p, "draw from the most typical tokens that make up this probability");

  group = "Against repetition";
  number("--repetition-penalty", g.repetition_penalty, "above 1 makes tokens seen before less likely");
  number("--frequency-penalty", g.frequency_penalty, "taken off for each time a token was generated");
  number("--presence-penalty", g.presence_penalty, "taken off once for a token generated before");
  number("--no-repeat-ngram", g.no_repeat_ngram_size, "never the same n tokens in a row twice (0: may be)");

  group = "Beam search";
  number("--beams", g.num_beams, "search with so many beams instead of drawing");
  number("--beam-groups", g.num_beam_groups, "in so many groups, whose beams shun each other's tokens (diverse beams)");
  number("--diversity-penalty", g.diversity_penalty,
         "by how much a token's score falls for each beam of an earlier group that has just taken it");
  number("--length-penalty", g.length_penalty, "above 0 favours long texts");
  number("--early-stopping", o->early_stopping,
         "stop at the first finished beams: no (likely better ones go on), yes, never")
      ->check(CLI::IsMember({"no", "yes", "never"}));

  group = "Contrastive search (among 4 tokens, or --top-k)";
  number("--penalty-alpha", g.penalty_alpha,
         "above 0: take what is likely and unlike what stands before; 0.6 is usual");

  add_constraint_options(*command, o->constraints);

  group = "Output";
  command->add_flag("--json", o->json, "a JSON object per continuation: text, ids, log probabilities")->group(group);
  command->add_flag("-q,--quiet", o->quiet, "no times on standard error")->group(group);
  command->footer(
      "Examples:\n  qkv generate runs/demo --prompt \"The tensor\"\n"
      "  qkv generate runs/demo -p \"// Returns\" --greedy --max-new-tokens 40 --json\n"
      "  qkv generate models/gpt2 -p \"The ship\" --beams 6 --beam-groups 3 --diversity-penalty 1 --return-sequences "
      "3\n"
      "  qkv generate models/gpt2 -p \"The ship\" --penalty-alpha 0.6\n"
      "  qkv generate models/llama-q4_0.gguf --prompt-file code.cpp --greedy --drafts 7\n"
      "  qkv generate models/gpt2 -p \"The mood of this is\" --only \" good\" --only \" bad\" --beams 2 --json");
  command->callback([command, o] {
    if (searches_contrastively(o->generation) && command->get_option("--top-k")->count() == 0)
      o->generation.top_k = usual_candidates;
    generate(*o);
  });
}

}  // namespace qkv
