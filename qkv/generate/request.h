// What somebody asks of a decoding engine, and what comes back while it runs.
#pragma once

#include "qkv/generate/choice.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qkv {

enum class Finish : uint8_t {
  end,      // an end token
  stopped,  // by the listener
  length,   // the limit
  cancelled,
  failed,
  stuck,  // options.allowed allowed nothing
};

// What happens when a text has filled the context.
enum class Overflow : uint8_t {
  refuse,  // it ends there; a prompt that fills it is an error
  slide,   // the oldest half (after the first `kept` tokens) is forgotten, and what is left is read again
};

struct Request {
  std::vector<int32_t> prompt;  // of an encoder-decoder: what the encoder reads
  // num_return_sequences continuations, each with its own random numbers; those beyond max_batch are written when there
  // is room. Beams are not for engines. max_new_tokens 0: only the prompt is read.
  GenerationOptions options;
  int64_t likeliest = 0;      // so many of the likeliest tokens are told for each place
  bool score_prompt = false;  // on_prompt is called
  Overflow overflow = Overflow::refuse;
  int64_t kept = 0;
  std::string client;  // clients take turns

  // The listeners are called from the engine's thread, must not throw, and must not call the engine.
  // Each of the prompt's tokens but the first, scored by those before.
  std::function<void(const std::vector<ChosenToken>&)> on_prompt;
  // A token of continuation `index`; false ends that continuation.
  std::function<bool(size_t index, const ChosenToken&)> on_token;
  // Once for each continuation; `message` says why it failed.
  std::function<void(size_t index, Finish, const std::string& message)> on_finish;

  // Set by whoever no longer wants the answer.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace qkv
