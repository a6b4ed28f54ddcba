// A conversation that is too long for its model: the model sums up the older messages, and reads the summary in their
// place. Who has the model write asks for one summary after the other until an answer has room:
//
//   while (!summary.leaves_room(prompt, max_new_tokens))
//     if (const auto question = summary.ask(messages, options, encode)) summary.take(*question, written(*question));
//     else break;
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/generate/options.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

class RunningSummary {
 public:
  // What the model is asked, and how many messages behind the system's its answer stands for.
  struct Question {
    std::vector<int32_t> prompt;
    GenerationOptions options;
    size_t covers = 0;
  };
  // Messages as the model's template writes them, in ids.
  using Encode = std::function<std::vector<int32_t>(const OrderedJson& messages)>;

  explicit RunningSummary(int64_t context) : context_(context) {}

  // Whether an answer of max_new_tokens, or a quarter of the context where that is less, fits behind so many tokens.
  bool leaves_room(int64_t tokens, int64_t max_new_tokens) const;

  // The messages as the model reads them. Templates know one system text, so that is where the summary stands.
  OrderedJson read(const OrderedJson& messages) const;

  // To sum up the older half of what is read, up to a question, but never the last one. The answer is the likeliest, of
  // at most an eighth of the context; of the caller's options those stay that say what a text is for this model.
  // Nothing: there is nothing to sum up.
  std::optional<Question> ask(const OrderedJson& messages, const GenerationOptions& options,
                              const Encode& encode) const;
  void take(const Question& question, std::string answer);

  const std::string& text() const { return text_; }  // "": all messages are read
  // Messages behind the system's that the text stands for.
  size_t covers() const { return covers_; }
  // Goes on with what an earlier one had come to.
  void resume(std::string text, size_t covers);
  // Reads all messages again, where some of those that were summed up are gone.
  void keep_within(const OrderedJson& messages);

  // How many messages stand before those that are said: the system's.
  static size_t first_said(const OrderedJson& messages);

 private:
  int64_t context_;
  std::string text_;
  size_t covers_ = 0;
};

}  // namespace qkv
