// qkv train TEXT... --out DIR: trains a language model.
#include "qkv/core/error.h"
#include "tools/commands.h"
#include "tools/support/checks.h"
#include "tools/support/train_run.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace qkv {
namespace {

void add_options(CLI::App& command, TrainRun& run) {
  TrainerOptions& o = run.options;
  const auto number = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->capture_default_str();
  };
  const auto choice = [&](const char* name, std::string& value, const char* help, std::vector<std::string> allowed) {
    return command.add_option(name, value, help)->capture_default_str()->check(CLI::IsMember(std::move(allowed)));
  };
  command.add_option("--text,text", run.text, "what to learn from: text files, folders, patterns, .jsonl files")
      ->type_name("PATH");
  command.add_option("--out", run.out, "directory for the model, its metrics and its state")->type_name("DIR");

  const char* group = "Data";
  command.add_option("--validation", run.validation, "texts to evaluate on")->type_name("PATH")->group(group);
  number("--val-fraction", run.val_fraction, "without --validation: this last part of the text is kept for evaluation")
      ->check(between(0.0, 0.9))
      ->group(group);
  number("--field", run.field, "the field of .jsonl lines that holds the text")->group(group);
  choice("--sampling", run.sampling,
         "packed: each token once an epoch, in shuffled order; random: windows from anywhere", {"packed", "random"})
      ->group(group);
  number("--tokenizer", run.tokenizer, "a new one from the text (bpe, char or byte), or a directory that has one")
      ->group(group);
  number("--vocab-size", run.vocab_size, "tokens of a new bpe")->check(CLI::Range(258, 1 << 20))->group(group);

  group = "Model";
  command.add_option("--from", run.from, "continue from this Hugging Face directory instead of a new model")
      ->type_name("DIR")
      ->group(group);
  number("--family", run.family, "family of a new model; qkv info --families lists them")->group(group);
  choice("--objective", run.objective,
         "next tokens, masked tokens, hidden ones in a random order, or missing spans; auto: what the family is for",
         {"auto", "causal", "masked", "permuted", "spans"})
      ->group(group);
  number("--context", run.sizes.context, "tokens of a row: how far back the model sees")
      ->check(at_least(1))
      ->group(group);
  number("--layers", run.sizes.layers, "blocks")->check(at_least(1))->group(group);
  number("--heads", run.sizes.heads, "attention heads")->check(at_least(1))->group(group);
  number("--kv-heads", run.sizes.kv_heads, "heads of keys and values (0: as many as heads)")
      ->check(at_least(0))
      ->group(group);
  number("--width", run.sizes.width, "size of the residual stream")->check(at_least(1))->group(group);
  number("--feed-forward", run.sizes.feed_forward, "width of the feed-forward (0: the family's)")
      ->check(at_least(0))
      ->group(group);
  number("--dropout", run.sizes.dropout, "probability of dropping an activation")
      ->check(between(0.0, 0.99))
      ->group(group);
  number("--init-std", run.init_std, "spread of a new model's first weights (0: the family's, mostly 0.02)")
      ->check(between(0.0, 1.0))
      ->group(group);
  command.add_flag("--untied", run.untied, "give the output its own matrix, not the embedding's")->group(group);

  group = "Optimization";
  number("--steps", o.steps, "optimizer steps")->check(at_least(1))->group(group);
  number("--batch", run.batch, "rows of a micro-batch")->check(at_least(1))->group(group);
  number("--accumulate", o.accumulate, "micro-batches a step")->check(at_least(1))->group(group);
  choice("--optimizer", run.optimizer, "how gradients become steps", {"adamw", "sgd", "lion", "muon"})->group(group);
  number("--lr", run.rates.peak, "highest learning rate")->check(above_zero())->group(group);
  number("--min-lr", run.rates.lowest, "learning rate at the end")->check(not_negative())->group(group);
  choice("--schedule", run.schedule, "how the learning rate falls", {"constant", "linear", "cosine", "wsd"})
      ->group(group);
  number("--warmup-steps", run.rates.warmup, "steps of linear rise")->check(at_least(0))->group(group);
  number("--decay-fraction", run.rates.decay_fraction, "wsd: the last part of the run that falls")
      ->check(between(0.001, 1.0))
      ->group(group);
  number("--beta1", run.optimizer_options.beta1, "memory of the gradients' mean (adamw, lion)")
      ->check(between(0.0, 0.99999))
      ->group(group);
  number("--beta2", run.optimizer_options.beta2, "memory of the gradients' square (adamw) or mean (lion)")
      ->check(between(0.0, 0.999999))
      ->group(group);
  number("--momentum", run.optimizer_options.momentum, "momentum of sgd and muon")
      ->check(between(0.0, 0.9999))
      ->group(group);
  number("--weight-decay", run.optimizer_options.weight_decay, "pull of matrices and embeddings towards zero")
      ->check(not_negative())
      ->group(group);
  command
      .add_flag("--stochastic-rounding", run.optimizer_options.stochastic_rounding,
                "with --dtype bf16: weights are rounded up or down at random, so that small steps are not lost")
      ->group(group);
  number("--clip", o.clip, "scale gradients down to this norm (0: never)")->check(not_negative())->group(group);
  number("--label-smoothing", o.label_smoothing, "share of the target spread over all tokens")
      ->check(between(0.0, 0.99))
      ->group(group);
  choice("--dtype", run.dtype, "type of activations; auto: bf16 where it is faster", {"auto", "f32", "bf16"})
      ->group(group);
  command
      .add_flag("--checkpoint-activations", o.checkpoint_activations,
                "recompute blocks in the backward pass: less memory, more time")
      ->group(group);
  number("--seed", o.seed, "the same seed on the same machine gives the same model, bit for bit")
      ->check(at_least(0))
      ->group(group);

  group = "Evaluation and saving";
  number("--eval-every", o.eval_every, "steps between evaluations (0: only at the end)")
      ->check(at_least(0))
      ->group(group);
  number("--eval-batches", run.eval_batches, "batches of an evaluation (0: all)")->check(at_least(0))->group(group);
  number("--save-every", o.save_every, "steps between saved states (0: at evaluations)")
      ->check(at_least(0))
      ->group(group);
  number("--patience", o.patience, "stop after so many evaluations without a better one (0: never)")
      ->check(at_least(0))
      ->group(group);
  choice("--keep", run.keep, "the model that the directory ends with: best by validation loss, or last",
         {"best", "last"})
      ->group(group);
  number("--log-every", o.log_every, "steps between lines of metrics.jsonl")->check(at_least(1))->group(group);
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a language model on text");
  command->group("Models");
  auto run = std::make_shared<TrainRun>();
  add_options(*command, *run);
  add_threads_option(*command);
  add_device_option(*command);
  allow_config(*command);
  auto resume = std::make_shared<std::string>();
  command->add_option("--resume", *resume, "continue the run in this directory, with its own options")
      ->type_name("DIR");
  command->footer(
      "Examples:\n  qkv train book.txt --out runs/book --tokenizer char --layers 4 --heads 4 --width 128\n"
      "  qkv train --config recipes/shakespeare-char-cpu.toml --text input.txt --out runs/shakespeare\n  qkv train "
      "--resume runs/book");
  command->callback([command, run, resume] {
    apply_config(*command);
    if (!resume->empty()) {
      if (!fs::exists(fs::path(*resume) / "run.toml"))
        throw Error(*resume, "holds no run to resume (there is no run.toml)", "start one: qkv train TEXT --out DIR");
      read_options(*command, (fs::path(*resume) / "run.toml").string());
      run->out = *resume;
      run->resume = true;
    }
    // Decided once: a resumed run must compute as it began.
    if (run->dtype == "auto") set_option(*command, "--dtype", faster_dtype());
    const TrainResult result = run_training(*run, effective_config(*command));
    if (result.interrupted) {
      std::fprintf(stderr, "stopped at step %lld; continue with: qkv train --resume %s\n",
                   static_cast<long long>(result.state.step), run->out.c_str());
      throw CLI::RuntimeError(130);
    }
    if (result.state.best_step >= 0)
      fmt::print("validation loss {:.4f} (perplexity {:.2f}) at step {}\n", result.state.best_loss,
                 std::exp(result.state.best_loss), result.state.best_step);
    fmt::print("model and metrics in {0}, loss curves in {0}/report.html\n", run->out);
  });
}

}  // namespace qkv
