#include "qkv/tasks/tag.h"

#include "qkv/core/error.h"
#include "qkv/models/labels_config.h"
#include "qkv/tasks/entities.h"
#include "qkv/tasks/softmax.h"
#include "qkv/tasks/windows.h"

#include <array>

namespace qkv {

Aggregation aggregation_named(std::string_view name) {
  constexpr std::array<std::string_view, 5> names = {"none", "simple", "first", "average", "max"};
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Aggregation>(i);
  throw Error("aggregate", fmt::format("'{}' is not known", name), "none, simple, first, average or max");
}

Tagger::Tagger(const fs::path& directory, TaskOptions options, TagOptions tag_options)
    : Tagger(TextModel(directory, std::move(options)), std::move(tag_options)) {}

Tagger::Tagger(TextModel base, TagOptions tag_options) : base_(std::move(base)), options_(std::move(tag_options)) {
  base_.require("tagging", {Task::token_classification}, "a token-classification head");
  names_ = label_names(base_.config(), base_.model().spec().heads.labels);
}

Tagger::Input Tagger::input(std::string_view text) const {
  Input input{std::string(text), base_.tokenizer().encode(text, {.add_special_tokens = false}), {}};
  const int64_t length = std::ssize(input.encoding.ids);
  if (length == 0) throw Error("text", "is empty");
  const int64_t room = base_.room(false);
  if (length > room && options_.overlap < 0 && !base_.options().truncate)
    throw base_.too_long("text", length, false,
                         "shorten it, let it be cut (--truncate), or read it in windows (--stride)");
  if (options_.overlap >= room)
    throw Error("--stride", fmt::format("windows of {} tokens cannot share {}", room, options_.overlap),
                "share fewer tokens");
  if (options_.overlap >= 0) {
    input.windows = windows_over(length, room, options_.overlap);
  } else {
    input.windows = {{0, std::min(length, room)}};
  }
  return input;
}

std::vector<std::vector<Entity>> Tagger::tag(std::span<const Input> inputs) const {
  struct Window {
    size_t input;
    int64_t begin, end;
    int64_t first_at;
    std::vector<Entity> entities;
  };
  std::vector<Window> windows;
  std::vector<Row> rows;
  for (size_t i = 0; i < inputs.size(); ++i)
    for (const auto& [begin, end] : inputs[i].windows) {
      const auto ids =
          std::span(inputs[i].encoding.ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      const FramedIds framed = base_.tokenizer().frame(ids);
      windows.push_back({i, begin, end, framed.first_at, {}});
      rows.push_back(base_.framed(framed));
    }
  base_.run(rows, [&](const RowBatch& batch) {
    const auto outputs = base_.outputs(batch.inputs);
    const std::vector<float> logits = finite_values(outputs.front().second);
    for (size_t r = 0; r < batch.rows.size(); ++r) {
      Window& window = windows[batch.rows[r]];
      std::vector<std::vector<double>> scores;
      for (int64_t t = 0; t < window.end - window.begin; ++t) {
        const int64_t place = static_cast<int64_t>(r) * batch.length + window.first_at + t;
        scores.push_back(
            softmax_of(std::span(logits).subspan(static_cast<size_t>(place) * names_.size(), names_.size())));
      }
      const Input& input = inputs[window.input];
      const std::vector<ScoredToken> tokens =
          scored_tokens(base_.tokenizer(), input.text, input.encoding, window.begin, window.end, std::move(scores),
                        static_cast<int32_t>(window.first_at));
      window.entities = entities_of(base_.tokenizer(), tokens, names_, options_.aggregation);
      std::erase_if(window.entities, [&](const Entity& entity) {
        return std::find(options_.ignore.begin(), options_.ignore.end(), entity.label) != options_.ignore.end();
      });
    }
  });
  std::vector<std::vector<Entity>> results(inputs.size());
  for (Window& window : windows)
    std::move(window.entities.begin(), window.entities.end(), std::back_inserter(results[window.input]));
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].windows.size() > 1) results[i] = without_overlaps(std::move(results[i]));
  return results;
}

std::vector<Entity> Tagger::tag(std::string_view text) const {
  const Input one = input(text);
  return tag(std::span(&one, 1))[0];
}

}  // namespace qkv
