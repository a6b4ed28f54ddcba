// qkv chat MODEL: a conversation in a terminal.
#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/generate/cache_type.h"
#include "qkv/generate/checkpoint_options.h"
#include "qkv/generate/model_size.h"
#include "qkv/generate/sampling_defaults.h"
#include "qkv/io/hugging_face.h"
#include "qkv/io/model_source.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/models/compute_type.h"
#include "qkv/tasks/conversation.h"
#include "tools/commands.h"
#include "tools/support/cache_option.h"
#include "tools/support/chat_session.h"
#include "tools/support/checks.h"
#include "tools/support/constraint_options.h"
#include "tools/support/draft_options.h"
#include "tools/support/dtype_option.h"
#include "tools/support/user_data.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct ChatCommand {
  std::string model, template_file, system, load;
  std::string dtype = "auto", cache, overflow = "refuse", history;
  int64_t context = 0;
  ConstraintOptions constraints;
  GenerationOptions generation{.max_new_tokens = 512, .sample = true, .temperature = 0.7F, .top_p = 0.95F};
  SamplingDefaults chosen;  // by the user
  DraftOptions drafts;
  bool quiet = false;
};

// Where lines that are typed on a terminal are kept; "": nowhere.
fs::path history_file(const std::string& said) {
  if (said == "none") return {};
  if (!said.empty()) return said;
  const fs::path data = user_data_directory();
  return data.empty() ? data : data / "chat_history";
}

void chat(const ChatCommand& options) {
  auto open = keep_open(options.model);
  const Tokenizer tokenizer = load_tokenizer(options.model);
  if (options.template_file.empty() && !ChatTemplate::present(tokenizer))
    throw Error(options.model, "has no chat template: it was not made for conversations",
                "use qkv generate, or give a template with --template FILE");
  const ChatTemplate chat = options.template_file.empty()
                                ? ChatTemplate(tokenizer)
                                : ChatTemplate(read_file(options.template_file, 1 << 20), tokenizer);
  GenerationOptions settings = options.generation;
  SamplingDefaults::read(options.model).apply(settings);
  options.chosen.apply(settings);
  check_options(settings);
  const Config config = read_config(options.model);
  const EngineOptions how{.compute = compute_type_named(options.dtype, config),
                          .cache = cache_type_named(options.cache),
                          .context = options.context,
                          .max_batch = 1,
                          .drafts = options.drafts.count()};
  const Spec spec = spec_of(config);
  if (spec.generates()) {
    check_drafts(options.drafts, spec);
    const Use use = use_of(spec, how);
    check_memory(options.model, spec, use, options.drafts.model.empty() ? 0 : draft_bytes(options.drafts.model, use));
  }
  LoadedModel loaded =
      load_model(options.model, {.in_place = true, .matrices = how.compute, .pack = PackOptions{.floats = true}});
  open.reset();
  if (!loaded.model->spec().generates() || loaded.model->spec().encoder)
    throw Error(options.model,
                fmt::format("is a {}, which holds no conversations", name_of(loaded.model->spec().task)));
  check_tokenizer_fits(tokenizer, loaded.model->spec().vocab, options.model);
  const GenerationOptions from_files = checkpoint_options(loaded.config, options.model, tokenizer);
  settings.end_ids = from_files.end_ids;
  for (const int32_t id : turn_ends(tokenizer)) settings.end_ids.push_back(id);
  settings.bad_words = from_files.bad_words;
  apply_constraints(read_constraints(options.constraints), tokenizer, settings);
  const std::optional<LoadedModel> draft = load_draft(options.drafts, how.compute);
  Engine engine(*loaded.model, how, draft ? draft->model.get() : nullptr);
  Conversation conversation(engine, tokenizer, chat, settings, *full_context_named(options.overflow));
  if (!options.load.empty()) conversation.set_messages(read_messages(options.load));
  if (!options.system.empty()) conversation.set_system(options.system);
  ChatSession(conversation, history_file(options.history), options.quiet).run();
}

}  // namespace

void add_chat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "talk with a model in the terminal");
  command->group("Models");
  auto o = std::make_shared<ChatCommand>();
  command->add_option("model", o->model, "a Hugging Face model directory, or a GGUF file")
      ->required()
      ->type_name("MODEL");
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command->add_option(name, value, help)->capture_default_str();
  };
  add("--system", o->system, "what the model is told before the conversation");
  add("--template", o->template_file, "a chat template (Jinja) in the place of the model's own")->type_name("FILE");
  add("--load", o->load, "go on with a conversation that /save wrote")->type_name("FILE");
  command
      ->add_option("--history", o->history,
                   "where lines typed on a terminal are kept, for the arrow keys (default: chat_history in "
                   "$XDG_DATA_HOME/qkv or ~/.local/share/qkv); none: nowhere")
      ->type_name("FILE");
  add("--max-new-tokens", o->generation.max_new_tokens, "tokens of an answer at most")->check(at_least(1));
  // The checkpoint may have its own.
  command
      ->add_option("--temperature", o->chosen.temperature,
                   "0: always the likeliest word; 1: as it was learned (default: the checkpoint's, or 0.7)")
      ->check(between(0, 100));
  command
      ->add_option("--top-k", o->chosen.top_k, "choose among the k likeliest; 0: all (default: the checkpoint's, or 0)")
      ->check(at_least(0));
  command
      ->add_option("--top-p", o->chosen.top_p,
                   "choose among the likeliest that together have probability p (default: the checkpoint's, or 0.95)")
      ->check(between(0, 1));
  command
      ->add_option("--min-p", o->chosen.min_p,
                   "leave out what is less likely than p times the likeliest (default: the checkpoint's, or 0)")
      ->check(between(0, 1));
  command
      ->add_option("--repetition-penalty", o->chosen.repetition_penalty,
                   "above 1: what was said becomes less likely (default: the checkpoint's, or 1)")
      ->check(between(0.01, 100));
  add("--seed", o->generation.seed, "the same seed and words give the same answers");
  add("--context", o->context, "tokens of the conversation (0: as the model has it, at most 4096)")->check(at_least(0));
  add("--overflow", o->overflow,
      "a full context: refuse to go on, slide: forget the oldest half, or summarise: read a summary of it, which the "
      "model writes")
      ->check(CLI::IsMember({"refuse", "slide", "summarise"}));
  add_draft_options(*command, o->drafts, "Options");
  add_dtype_option(*command, o->dtype);
  add_cache_option(*command, o->cache);
  add_grammar_option(*command, o->constraints);
  add_threads_option(*command);
  add_device_option(*command);
  command->add_flag("-q,--quiet", o->quiet, "answers alone, without prompts and counts");
  command->footer(
      "Examples:\n  qkv chat models/qwen2.5-0.5b-q8_0.gguf --system \"Answer in one sentence.\"\n"
      "  printf 'Hello\\n/quit\\n' | qkv chat models/smollm -q --temperature 0\nIn it, /help lists the commands.");
  allow_config(*command);
  command->callback([command, o] {
    apply_config(*command);
    chat(*o);
  });
}

}  // namespace qkv
