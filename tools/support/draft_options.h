// Options of verbs that write text: guessing tokens ahead.
#pragma once

#include "qkv/io/hugging_face.h"
#include "tools/commands.h"

#include <optional>

namespace qkv {

struct DraftOptions {
  int64_t tokens = 0;
  std::string model;

  bool any() const { return count() > 0; }

  // How many tokens are guessed ahead: 4 where only a model that guesses is named.
  int64_t count() const { return tokens == 0 && !model.empty() ? 4 : tokens; }
};

// --drafts, --draft
void add_draft_options(CLI::App& command, DraftOptions& drafts, const std::string& group);

// Throws Error where the model cannot have guesses checked.
void check_drafts(const DraftOptions& drafts, const Spec& spec);

// The model that guesses, with matrices as the other's; nothing where none is named.
std::optional<LoadedModel> load_draft(const DraftOptions& drafts, DType matrices);

}  // namespace qkv
