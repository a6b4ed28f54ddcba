#include "qkv/text/truncation.h"

#include "qkv/core/error.h"
#include "qkv/text/tokenizer.h"
#include "qkv/text/vocabulary.h"

#include <algorithm>

namespace qkv {
namespace {

constexpr int64_t longest = int64_t{1} << 31;

int64_t checked_length(const JsonCursor& json) {
  const int64_t length = json.integer();
  if (length < 0 || length > longest) json.fail(fmt::format("{} is not a length", length));
  return length;
}

bool is_left(const JsonCursor& json) {
  const std::string direction = json.string_or("Right");
  if (direction != "Left" && direction != "Right") json.fail("expected Left or Right");
  return direction == "Left";
}

int64_t length_of(const Encoding& encoding) { return std::ssize(encoding.ids); }

Encoding slice(const Encoding& whole, int64_t begin, int64_t end) {
  const auto cut = [=](const auto& list) {
    return std::remove_cvref_t<decltype(list)>(list.begin() + begin, list.begin() + end);
  };
  Encoding part;
  part.ids = cut(whole.ids);
  part.tokens = cut(whole.tokens);
  part.offsets = cut(whole.offsets);
  part.words = cut(whole.words);
  if (!whole.type_ids.empty()) part.type_ids = cut(whole.type_ids);
  if (!whole.attention_mask.empty()) part.attention_mask = cut(whole.attention_mask);
  return part;
}

// Leaves `length` tokens and puts the others into overflowing parts of that length, each of which begins `stride`
// tokens before the end of the one before it (with `left`: the other way round).
void cut(Encoding& encoding, int64_t length, const Truncation& how) {
  const int64_t all = length_of(encoding);
  if (length >= all) return;
  if (length == 0) {
    Encoding nothing;
    nothing.overflowing.push_back(std::move(encoding));
    encoding = std::move(nothing);
    return;
  }
  if (how.stride >= length)
    throw Error("truncation",
                fmt::format("a stride of {} tokens in parts of {} would never come to an end", how.stride, length),
                "choose a smaller stride, or a larger length (special tokens count)");
  std::vector<Encoding> parts;
  const int64_t step = length - how.stride;
  if (how.left) {
    for (int64_t end = all;; end -= step) {
      parts.push_back(slice(encoding, std::max<int64_t>(0, end - length), end));
      if (end <= length) break;
    }
  } else {
    for (int64_t begin = 0;; begin += step) {
      parts.push_back(slice(encoding, begin, std::min(all, begin + length)));
      if (begin + length >= all) break;
    }
  }
  encoding = std::move(parts.front());
  encoding.overflowing.assign(std::make_move_iterator(parts.begin() + 1), std::make_move_iterator(parts.end()));
}

void fill_up(Encoding& encoding, int64_t length, const Padding& how) {
  for (Encoding& part : encoding.overflowing) fill_up(part, length, how);
  const int64_t missing = length - length_of(encoding);
  if (missing <= 0) return;
  const auto put = [&](auto& list, const auto& value) {
    list.insert(how.left ? list.begin() : list.end(), static_cast<size_t>(missing), value);
  };
  put(encoding.ids, how.id);
  put(encoding.tokens, how.token);
  put(encoding.offsets, std::pair<int32_t, int32_t>(0, 0));
  put(encoding.words, -1);
  put(encoding.type_ids, how.type_id);
  put(encoding.attention_mask, 0);
}

}  // namespace

std::optional<Truncation> Truncation::parse(const JsonCursor& json) {
  if (json.is_null()) return std::nullopt;
  Truncation how{.max_length = checked_length(json["max_length"]), .left = is_left(json["direction"])};
  if (const JsonCursor stride = json["stride"]; !stride.is_null()) how.stride = checked_length(stride);
  const std::string strategy = json["strategy"].string_or("LongestFirst");
  if (strategy == "OnlyFirst") {
    how.strategy = Strategy::only_first;
  } else if (strategy == "OnlySecond") {
    how.strategy = Strategy::only_second;
  } else if (strategy != "LongestFirst") {
    json["strategy"].fail("expected LongestFirst, OnlyFirst or OnlySecond");
  }
  return how;
}

std::optional<Padding> Padding::parse(const JsonCursor& json) {
  if (json.is_null()) return std::nullopt;
  Padding how{.left = is_left(json["direction"]), .token = json["pad_token"].string_or("[PAD]")};
  const JsonCursor strategy = json["strategy"];
  if (strategy.json().is_object()) {
    how.length = checked_length(strategy["Fixed"]);
  } else if (!strategy.is_null() && strategy.string() != "BatchLongest") {
    strategy.fail("expected BatchLongest or {\"Fixed\": length}");
  }
  if (const JsonCursor multiple = json["pad_to_multiple_of"]; !multiple.is_null())
    how.multiple_of = checked_length(multiple);
  const int64_t id = json["pad_id"].integer_or(0);
  if (id < 0 || id > Vocabulary::largest_id) json["pad_id"].fail(fmt::format("{} is not a token id", id));
  const int64_t type_id = json["pad_type_id"].integer_or(0);
  if (type_id < 0 || type_id > 255) json["pad_type_id"].fail(fmt::format("{} is not a type id", type_id));
  how.id = static_cast<int32_t>(id);
  how.type_id = static_cast<int32_t>(type_id);
  return how;
}

void truncate(Encoding& first, Encoding* second, const Truncation& how, int64_t max_length) {
  using Strategy = Truncation::Strategy;
  if (max_length == 0) {
    cut(first, 0, how);
    if (second != nullptr) cut(*second, 0, how);
    return;
  }
  const int64_t total = length_of(first) + (second != nullptr ? length_of(*second) : 0);
  const int64_t excess = total - max_length;
  if (excess <= 0) return;
  if (how.strategy == Strategy::longest_first) {
    if (second == nullptr) return cut(first, max_length, how);
    int64_t shorter = std::min(length_of(first), length_of(*second));
    const bool first_is_shorter = length_of(first) <= length_of(*second);
    int64_t longer = shorter > max_length ? shorter : std::max(shorter, max_length - shorter);
    if (shorter + longer > max_length) {
      shorter = max_length / 2;
      longer = shorter + max_length % 2;
    }
    cut(first, first_is_shorter ? shorter : longer, how);
    cut(*second, first_is_shorter ? longer : shorter, how);
    return;
  }
  Encoding* target = how.strategy == Strategy::only_first ? &first : second;
  const char* which = how.strategy == Strategy::only_first ? "first" : "second";
  if (target == nullptr) throw Error("truncation", "is to cut the second text, but there is only one");
  if (length_of(*target) <= excess)
    throw Error("truncation",
                fmt::format("would have to cut {} of the {} tokens of the {} text", excess, length_of(*target), which),
                "shorten the other text, or let the longest be cut first");
  cut(*target, length_of(*target) - excess, how);
}

void pad(std::span<Encoding> batch, const Padding& how) {
  int64_t length = how.length.value_or(0);
  if (!how.length)
    for (const Encoding& encoding : batch) length = std::max(length, length_of(encoding));
  if (how.multiple_of > 0) length = (length + how.multiple_of - 1) / how.multiple_of * how.multiple_of;
  for (Encoding& encoding : batch) fill_up(encoding, length, how);
}

}  // namespace qkv
