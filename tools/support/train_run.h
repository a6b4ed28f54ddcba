// A training run from its options to its result: what `qkv train` and `qkv demo` share.
#pragma once

#include "qkv/train/trainer.h"

#include <string>
#include <vector>

namespace qkv {

struct TrainRun {
  // What is read, and where results go.
  std::vector<std::string> text;
  std::vector<std::string> validation;
  double val_fraction = 0.1;
  std::string field = "text";
  std::string out;
  bool resume = false;
  // The model: from a checkpoint, or a new one of these sizes.
  std::string from;
  std::string family = "gpt2";
  Sizes sizes{.context = 256, .layers = 6, .heads = 6, .width = 384};
  bool untied = false;
  double init_std = 0;            // of a new model's matrices and embeddings; 0: the family's
  std::string tokenizer = "bpe";  // bpe, char, byte, or a directory
  int64_t vocab_size = 4096;
  std::string objective = "auto";  // causal, masked or permuted; auto: what the family is for
  // The run.
  int64_t batch = 8;
  std::string sampling = "packed";
  std::string dtype = "auto";
  std::string optimizer = "adamw";
  OptimizerOptions optimizer_options;
  std::string schedule = "cosine";
  Schedule rates{.peak = 6e-4, .lowest = 6e-5, .warmup = 100};
  TrainerOptions options;
  double seconds = 0;  // above 0: as many steps as this machine does in about so long, evaluated eight times
  int64_t eval_batches = 50;
  std::string keep = "best";
};

// bf16 where it halves the traffic and the processor has instructions for its arithmetic, else f32. Measured.
std::string faster_dtype();

// Trains as told, from the start or from the state in `out`; writes `effective_config` as run.toml. Prints the plan
// (parameters, tokens a step, FLOPs, memory) before it starts. Ctrl-C saves and stops.
TrainResult run_training(TrainRun run, const std::string& effective_config);

}  // namespace qkv
