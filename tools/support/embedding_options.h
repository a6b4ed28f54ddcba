// How `qkv embed` and `qkv similar` make vectors.
#pragma once

#include "qkv/tasks/embed.h"
#include "tools/support/task_run.h"

namespace qkv {

struct EmbeddingCommand : TaskCommand {
  std::string pooling = "auto", normalise = "auto";
  Embedder embedder(TaskOptions task_options) const;
};

// --pooling, --normalise, --truncate.
void add_embedding_options(CLI::App& command, EmbeddingCommand& options);

}  // namespace qkv
