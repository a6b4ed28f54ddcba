// Times a checkpoint's forward pass and training step.
#pragma once

#include "qkv/core/json.h"
#include "qkv/models/model.h"

#include <functional>
#include <string>
#include <vector>

namespace qkv {

// Seconds of each of `repeat` calls, after some that do not count.
std::vector<double> times_of(int64_t repeat, int64_t uncounted, const std::function<void()>& work);

// Random tokens and labels that fit the task: every place of a decoder, 15 % of the places of a masked model, as BERT's
// recipe has it; `target_length` tokens a row for an encoder-decoder.
Inputs random_inputs(const Spec& spec, int64_t rows, int64_t length, int64_t target_length = 0);

struct ModelTimes {
  std::string directory;
  int64_t batch = 1;
  int64_t length = 128;
  int64_t target_length = 32;
  int64_t repeat = 5;
  DType compute = DType::f32;
};

// {"forward_seconds": [...], "step_seconds": [...], "loss": ...}: all logits without gradients, and loss, gradients
// clipped to norm 1 and AdamW, after two uncounted calls of each.
Json time_model(const ModelTimes& wanted);

struct TranslationTimes {
  std::string directory;
  std::string sources;  // JSON: a list of ids for each row
  int64_t tokens = 32;  // written for each row, whatever they are
  int64_t beams = 1;
  PackOptions pack;
  int64_t repeat = 5;
};

// {"seconds": [...], "ids": [[...], ...]} of an encoder-decoder, after one uncounted call.
Json time_translation(const TranslationTimes& wanted);

}  // namespace qkv
