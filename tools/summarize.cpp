// qkv summarize MODEL: a long text in a few words.
#include "tools/support/rewriting.h"

namespace qkv {

void add_summarize(CLI::App& app) {
  auto o = std::make_shared<RewritingCommand>();
  CLI::App* command = add_rewriting_command(app, "summarize", "say a long text in a few words", *o);
  command->footer(
      "Examples:\n  qkv summarize models/bart-large-cnn --input articles.jsonl --field text=article --output "
      "short.jsonl\n"
      "  qkv summarize models/t5-small \"A long text ...\" --max-new-tokens 60");
  command->callback([command, o] { run_rewriting(*command, *o, "summarization", "summary_text"); });
}

}  // namespace qkv
