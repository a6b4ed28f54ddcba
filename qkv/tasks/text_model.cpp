#include "qkv/tasks/text_model.h"

#include "qkv/core/error.h"
#include "qkv/io/model_source.h"
#include "qkv/io/tokenizer_fits.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/shape.h"
#include "qkv/tasks/batches.h"

#include <cmath>
#include <limits>

namespace qkv {

TextModel::TextModel(const fs::path& directory, TaskOptions options)
    : directory_(directory),
      options_(std::move(options)),
      loaded_(std::make_shared<const LoadedModel>(
          load_model(directory, {.in_place = true, .matrices = options_.dtype, .pack = options_.pack}))),
      passes_(std::make_shared<ReplayedPasses>(model(), options_.dtype)),
      tokenizer_(load_tokenizer(directory)) {
  const Spec& spec = model().spec();
  check_tokenizer_fits(tokenizer_, spec.vocab, directory.string());
  limit_ = std::numeric_limits<int32_t>::max();
  limit_to(spec.max_positions(), "the model has {} positions");
  limit_to(tokenizer_.max_length().value_or(0), "the tokenizer's model_max_length is {}");
  limit_to(options_.max_length, "--max-length is {}");
  if (spec.embeddings.padding_id >= 0) {
    padding_ = static_cast<int32_t>(spec.embeddings.padding_id);
  } else if (tokenizer_.special().pad) {
    padding_ = *tokenizer_.special().pad;
  }
}

void TextModel::limit_to(int64_t tokens, std::string_view because) {
  if (tokens <= 0 || tokens >= limit_) return;
  limit_ = tokens;
  limited_by_ = because;
}

void TextModel::require(std::string_view task, std::initializer_list<Task> heads, std::string_view wanted) const {
  const Task present = model().spec().task;
  for (const Task head : heads)
    if (head == present) return;
  const std::string has = present == Task::features
                              ? "this checkpoint is a bare model, without a head"
                              : fmt::format("this checkpoint's head is for: {}", name_of(present));
  throw Error(directory_.string(), fmt::format("{}; {} needs {}", has, task, wanted),
              "name a checkpoint that was fine-tuned for this; qkv info shows what one is for");
}

int64_t TextModel::room(bool pair) const {
  const int64_t specials = tokenizer_.special_count(pair);
  if (limit_ <= specials)
    throw Error("--max-length", fmt::format("{} tokens leave no room beside {} special ones", limit_, specials));
  return limit_ - specials;
}

Error TextModel::too_long(std::string_view where, int64_t tokens, bool pair, std::string_view hint) const {
  const int64_t specials = tokenizer_.special_count(pair);
  const std::string with = specials > 0 ? " with the special ones" : "";
  return {
      where,
      fmt::format("has {} tokens{}, and {}", tokens + specials, with, fmt::format(fmt::runtime(limited_by_), limit_)),
      hint};
}

std::vector<int32_t> TextModel::ids_of(std::string_view text, std::string_view name) const {
  std::vector<int32_t> ids = tokenizer_.encode_ids(text, {.add_special_tokens = false});
  if (ids.empty()) throw Error(name, text.empty() ? "is empty" : "has nothing that the tokenizer makes tokens of");
  return ids;
}

Row TextModel::framed(const FramedIds& framed) const {
  return {framed.ids, model().spec().embeddings.token_types > 1 ? framed.type_ids : std::vector<int32_t>()};
}

namespace {

constexpr std::string_view how_to_shorten = "shorten it, or let it be cut: --truncate";

}  // namespace

Row TextModel::row(std::string_view text) const {
  std::vector<int32_t> ids = ids_of(text, "text");
  const int64_t space = room(false);
  if (std::ssize(ids) > space) {
    if (!options_.truncate) throw too_long("text", std::ssize(ids), false, how_to_shorten);
    ids.resize(static_cast<size_t>(space));
  }
  return framed(tokenizer_.frame(ids));
}

Row TextModel::row(std::string_view first, std::string_view second) const {
  std::vector<int32_t> a = ids_of(first, "text"), b = ids_of(second, "pair");
  const int64_t space = room(true);
  const int64_t total = std::ssize(a) + std::ssize(b);
  if (total > space) {
    if (!options_.truncate) throw too_long("text and pair", total, true, how_to_shorten);
    auto& shorter = a.size() > b.size() ? b : a;
    auto& longer = a.size() > b.size() ? a : b;
    if (std::ssize(shorter) > space / 2) shorter.resize(static_cast<size_t>(space / 2));
    longer.resize(std::min(longer.size(), static_cast<size_t>(space) - shorter.size()));
  }
  return framed(tokenizer_.frame(a, b));
}

void TextModel::run(std::span<const Row> rows, const std::function<void(const RowBatch&)>& visit) const {
  const NoGrad no_grad;
  std::vector<int64_t> lengths;
  for (const Row& row : rows) lengths.push_back(std::ssize(row.ids));
  int64_t done = 0;
  for (const std::vector<size_t>& group : batches_by_length(lengths, options_.batch_tokens)) {
    RowBatch batch{.rows = group, .length = lengths[group.front()]};
    const bool typed = model().spec().embeddings.token_types > 1;
    const bool padded = lengths[group.back()] < batch.length;
    const size_t length = static_cast<size_t>(batch.length);
    std::vector<int32_t> ids(group.size() * length, padding_), types(typed ? ids.size() : 0);
    std::vector<uint8_t> mask(padded ? ids.size() : 0);
    for (size_t i = 0; i < group.size(); ++i) {
      const Row& row = rows[group[i]];
      std::copy(row.ids.begin(), row.ids.end(), ids.begin() + static_cast<int64_t>(i * length));
      if (typed) std::copy(row.type_ids.begin(), row.type_ids.end(), types.begin() + static_cast<int64_t>(i * length));
      if (padded) std::fill_n(mask.begin() + static_cast<int64_t>(i * length), row.ids.size(), uint8_t{1});
    }
    const Shape shape{std::ssize(group), batch.length};
    batch.inputs.input_ids = Tensor::from(shape, ids);
    if (typed) batch.inputs.token_type_ids = Tensor::from(shape, types);
    if (padded) batch.inputs.attention_mask = Tensor::from(shape, mask);
    visit(batch);
    done += std::ssize(group);
    if (options_.on_batch) options_.on_batch(done, std::ssize(rows));
  }
}

std::vector<float> finite_values(const Tensor& x) {
  std::vector<float> values = cast(x, DType::f32).to_vector<float>();
  for (const float value : values)
    if (!std::isfinite(value))
      throw Error("model", "its scores are not finite numbers", "the weights are damaged, or training had diverged");
  return values;
}

}  // namespace qkv
