#include "qkv/models/tensorflow_names.h"

#include <algorithm>
#include <array>

namespace qkv {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// How many bytes at the front of `text` the pattern matches, and the numbers on the way; 0 for no match.
size_t match(std::string_view text, std::string_view pattern, std::vector<std::string_view>& numbers) {
  numbers.clear();
  size_t at = 0;
  for (const char c : pattern) {
    if (c != '*') {
      if (at == text.size() || text[at] != c) return 0;
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == begin) return 0;
    numbers.push_back(text.substr(begin, at - begin));
  }
  return at;
}

// Adam, LAMB and their like keep moments under the variable's name, and counters beside them.
bool of_optimizer(std::string_view variable) {
  constexpr std::array<std::string_view, 8> moments = {"adam_m", "adam_v", "lamb_m",   "lamb_v",
                                                       "Adam",   "Adam_1", "Momentum", "ExponentialMovingAverage"};
  constexpr std::array<std::string_view, 7> counters = {"global_step",
                                                        "beta1_power",
                                                        "beta2_power",
                                                        "current_loss_scale",
                                                        "good_steps",
                                                        "save_counter",
                                                        "_CHECKPOINTABLE_OBJECT_GRAPH"};
  const std::string_view last = variable.substr(variable.rfind('/') + 1);
  const auto is_last = [last](std::string_view name) { return name == last; };
  return std::any_of(moments.begin(), moments.end(), is_last) ||
         std::any_of(counters.begin(), counters.end(), is_last) ||
         variable.find("WeightDecayOptimizer") != std::string_view::npos;
}

}  // namespace

std::string replace_numbered(std::string_view text, std::string_view pattern, std::string_view replacement) {
  std::string result;
  std::vector<std::string_view> numbers;
  while (!text.empty()) {
    const size_t length = match(text, pattern, numbers);
    if (length == 0) {
      result += text[0];
      text.remove_prefix(1);
      continue;
    }
    size_t next = 0;
    for (const char c : replacement) {
      if (c == '*' && next < numbers.size()) {
        result += numbers[next++];
      } else {
        result += c;
      }
    }
    text.remove_prefix(length);
  }
  return result;
}

std::optional<TensorflowName> name_from_tensorflow(std::string_view variable, const TensorflowLayout& layout) {
  if (of_optimizer(variable)) return std::nullopt;
  TensorflowName result{std::string(variable)};
  for (const auto& [pattern, replacement] : layout.names)
    result.name = replace_numbered(result.name, pattern, replacement);
  const auto ending = [&](std::string_view theirs, std::string_view ours) {
    if (!result.name.ends_with(theirs)) return false;
    result.name.replace(result.name.size() - theirs.size(), theirs.size(), ours);
    return true;
  };
  result.transposed = ending("/kernel", "/weight");
  ending("/gamma", "/weight") || ending("/beta", "/bias") || ending("_embeddings", "_embeddings/weight");
  std::replace(result.name.begin(), result.name.end(), '/', '.');
  return result;
}

}  // namespace qkv
