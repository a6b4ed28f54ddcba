#include "qkv/train/trainer.h"

#include "qkv/core/clock.h"
#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"
#include "qkv/train/report.h"

#include <cmath>

namespace qkv {
namespace {

// What stands behind the progress bar.
std::string note_of(const TrainResult& result, const Json& line) {
  if (line.empty()) return "";  // evaluated before anything was reported
  std::string note = fmt::format("loss {:.4f}", result.last_train_loss);
  if (result.state.best_step >= 0)
    note += fmt::format("  val {:.4f}", result.last_eval_loss > 0 ? result.last_eval_loss : result.state.best_loss);
  note += fmt::format("  {} tok/s", short_count(line.value("tokens_per_second", 0.0)));
  if (line.contains("mfu")) note += fmt::format("  {:.0f} % of peak", 100 * line["mfu"].get<double>());
  return note;
}

}  // namespace

Trainer::Trainer(Model& model, Optimizer& optimizer, const Schedule& schedule, const Batches& train,
                 const Batches* eval, const RunDirectory& directory, const TrainerOptions& options,
                 std::function<void()> save_model)
    : model_(model),
      optimizer_(optimizer),
      schedule_(schedule),
      train_(train),
      eval_(eval),
      directory_(directory),
      options_(options),
      save_model_(std::move(save_model)),
      step_(model, optimizer,
            {.compute = options.compute,
             .checkpoint_activations = options.checkpoint_activations,
             .label_smoothing = options.label_smoothing,
             .clip = static_cast<float>(options.clip),
             .seed = options.seed}) {}

Trainer::StepInputs Trainer::inputs_of_step(int64_t index) const {
  StepInputs inputs{.index = index, .micro_batches = {}, .counts = {}, .tokens = 0};
  for (int64_t i = 0; i < options_.accumulate; ++i) {
    const Batch batch = train_.batch(index * options_.accumulate + i);
    inputs.micro_batches.push_back(inputs_of(batch));
    inputs.counts.tokens += batch.target_count;
    inputs.counts.sentences += batch.rows;
    inputs.tokens += batch.rows * batch.length;
  }
  return inputs;
}

Trainer::StepResult Trainer::step(int64_t index) {
  const StepInputs inputs = ahead_ && ahead_->index == index ? *std::move(ahead_) : inputs_of_step(index);
  ahead_.reset();
  step_.give(index, static_cast<float>(schedule_.rate(index)), inputs.micro_batches, inputs.counts);
  // While a device works, the host has time for the next batches.
  if (model_.device() != Device() && index + 1 < options_.steps) {
    try {
      ahead_ = inputs_of_step(index + 1);
    } catch (const std::exception&) {
      ahead_.reset();  // the next step reads them again, and says what is wrong
    }
  }
  const StepResult result{.loss = step_.loss(), .norm = step_.norm(), .tokens = inputs.tokens};
  if (!std::isfinite(result.loss) || !std::isfinite(result.norm))
    throw Error(
        fmt::format("step {}", index + 1),
        fmt::format("the loss is {} and the gradients' norm {}: training has diverged", result.loss, result.norm),
        fmt::format("a lower --lr, more --warmup-steps, --clip 1 or --dtype f32; {} keeps the last good state",
                    directory_.path().string()));
  return result;
}

double Trainer::evaluate() {
  const NoGrad no_grad;
  double sum = 0;
  int64_t tokens = 0;
  for (int64_t i = 0; i < eval_->count(); ++i) {
    const Batch batch = eval_->batch(i);
    const Context context{.compute = options_.compute};
    sum += model_.loss(inputs_of(batch), context).item<double>() * static_cast<double>(batch.target_count);
    tokens += batch.target_count;
  }
  return sum / static_cast<double>(std::max<int64_t>(1, tokens));
}

void Trainer::evaluate_and_save(TrainResult& result, Progress& progress) {
  RunState& state = result.state;
  bool best = eval_ == nullptr;
  if (eval_ != nullptr) {
    try {
      result.last_eval_loss = evaluate();
    } catch (const Error&) {
      if (!step_.forget_recording()) throw;
      result.last_eval_loss = evaluate();  // which may want the memory that was held for the next step
    }
    best = state.best_step < 0 || result.last_eval_loss < state.best_loss;
    if (best) {
      state.best_loss = result.last_eval_loss;
      state.best_step = state.step;
      state.evaluations_since_best = 0;
    } else {
      ++state.evaluations_since_best;
    }
    directory_.append_metrics({{"step", state.step}, {"val_loss", result.last_eval_loss}});
    progress.message(fmt::format(
        "step {}: train {:.4f}, validation {:.4f}{}", state.step, result.last_train_loss, result.last_eval_loss,
        best ? "" : fmt::format(" (best {:.4f} at step {})", state.best_loss, state.best_step)));
  }
  if (best || !options_.keep_best) save_model_();
  directory_.save_state(model_, optimizer_, state);
}

TrainResult Trainer::run(RunState state, const std::atomic<bool>& stop) {
  TrainResult result{.state = state};
  Progress progress("training", options_.steps, "steps", state.step);
  // The cost of reading and reporting is not the model's: the rate is over whole steps since the last line.
  Clock::time_point mark = Clock::now();
  int64_t tokens_since = 0;
  const auto out_of_patience = [&] {
    return options_.patience > 0 && result.state.evaluations_since_best >= options_.patience;
  };
  result.stopped_early = out_of_patience();
  bool saved = false;
  Json line;  // the last of metrics.jsonl
  while (result.state.step < options_.steps && !stop && !result.stopped_early) {
    const StepResult step_result = step(result.state.step);
    ++result.state.step;
    saved = false;
    tokens_since += step_result.tokens;
    result.state.loss_since_line += step_result.loss;
    ++result.state.steps_since_line;
    const int64_t done = result.state.step;
    const bool last = done == options_.steps;
    if (done % options_.log_every == 0 || last) {
      const double rate = static_cast<double>(tokens_since) / seconds_since(mark);
      result.last_train_loss = result.state.loss_since_line / static_cast<double>(result.state.steps_since_line);
      line = {{"step", done},
              {"train_loss", result.last_train_loss},
              {"lr", schedule_.rate(done - 1)},
              {"grad_norm", step_result.norm},
              {"tokens_per_second", rate}};
      if (options_.peak_flops > 0) line["mfu"] = rate * options_.flops_per_token / options_.peak_flops;
      directory_.append_metrics(line);
      progress.update(done, note_of(result, line));
      mark = Clock::now();
      tokens_since = 0;
      result.state.loss_since_line = 0;
      result.state.steps_since_line = 0;
    } else {
      progress.update(done);
    }
    if (last || (options_.eval_every > 0 && done % options_.eval_every == 0)) {
      const Clock::time_point before = Clock::now();
      evaluate_and_save(result, progress);
      progress.update(done, note_of(result, line));
      saved = true;
      mark += Clock::now() - before;
      result.stopped_early = out_of_patience();
      if (result.stopped_early)
        progress.message(fmt::format("no better validation loss in {} evaluations: stopped", options_.patience));
    } else if (options_.save_every > 0 && done % options_.save_every == 0) {
      directory_.save_state(model_, optimizer_, result.state);
      saved = true;
    }
  }
  result.interrupted = stop && result.state.step < options_.steps;
  if (!saved && result.state.step > state.step) directory_.save_state(model_, optimizer_, result.state);
  // Until the first evaluation the directory has no model yet.
  if (result.interrupted && (!options_.keep_best || !fs::exists(directory_.path() / "config.json"))) save_model_();
  progress.finish();
  write_report(directory_);
  return result;
}

}  // namespace qkv
