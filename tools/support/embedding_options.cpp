#include "tools/support/embedding_options.h"

namespace qkv {

Embedder EmbeddingCommand::embedder(TaskOptions task_options) const {
  return Embedder(directory, std::move(task_options),
                  pooling == "auto" ? std::nullopt : std::optional(pooling_named(pooling)),
                  normalise == "auto" ? std::nullopt : std::optional(normalise == "yes"));
}

void add_embedding_options(CLI::App& command, EmbeddingCommand& o) {
  command
      .add_option("--pooling", o.pooling,
                  "one vector of the tokens': their mean, the first (cls), the last, the largest of each number; auto: "
                  "what sentence-transformers' files say, else mean")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "mean", "cls", "last", "max"}));
  command.add_option("--normalise,--normalize", o.normalise, "to length 1; auto: what those files say, else no")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "yes", "no"}));
  add_truncate_option(command, o);
}

}  // namespace qkv
