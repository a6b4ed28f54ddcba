#include "tools/support/draft_options.h"

#include "qkv/core/error.h"
#include "qkv/generate/scheduler.h"
#include "tools/support/checks.h"

namespace qkv {

void add_draft_options(CLI::App& command, DraftOptions& drafts, const std::string& group) {
  command
      .add_option("--drafts", drafts.tokens,
                  "guess so many tokens ahead, by what stands in the text or with --draft; what is written stays the "
                  "same")
      ->capture_default_str()
      ->check(at_least(0))
      ->group(group);
  command.add_option("--draft", drafts.model, "a small model of the same vocabulary that guesses")
      ->type_name("MODEL")
      ->group(group);
}

void check_drafts(const DraftOptions& drafts, const Spec& spec) {
  if (drafts.any() && !batches_continuously(spec))
    throw Error(drafts.model.empty() ? "--drafts" : "--draft", "needs a decoder whose state is keys and values alone",
                "write with this model without it");
}

std::optional<LoadedModel> load_draft(const DraftOptions& drafts, DType matrices) {
  if (drafts.model.empty()) return {};
  return load_model(drafts.model, {.in_place = true, .matrices = matrices, .pack = PackOptions{.floats = true}});
}

}  // namespace qkv
