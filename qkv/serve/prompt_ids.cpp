#include "qkv/serve/prompt_ids.h"

#include <fmt/format.h>

namespace qkv {
namespace {

// Of a long text so many bytes for each position of the context are looked at first. Tokens of so many bytes are rare.
constexpr int64_t bytes_looked_at = 32;
// A beginning that has this many tokens more than fit is certain: behind its end at most the last word is cut
// otherwise.
constexpr int64_t certain = 1024;

// The text's first bytes, up to the end of a word where there is one, or of a character.
std::string_view beginning(std::string_view text, size_t bytes) {
  size_t end = text.find_last_of(" \n", bytes);
  if (end == std::string_view::npos || end < bytes / 2)
    for (end = bytes; end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80;) --end;
  return text.substr(0, end);
}

}  // namespace

ApiError too_long_for_context(int64_t context, int64_t given, const std::string& field) {
  // Far beyond, nobody has counted to the end.
  const std::string count =
      given > 2 * context + certain ? fmt::format("more than {}", 2 * context + certain) : fmt::format("{}", given);
  return {400, fmt::format("This model's context has {} tokens, and your prompt has {}; shorten it.", context, count),
          field, "context_length_exceeded"};
}

std::vector<int32_t> prompt_ids(const ServedModel& model, std::string_view text, bool special_tokens, bool must_fit,
                                const std::string& field) {
  const int64_t context = model.context();
  const auto bytes = static_cast<size_t>(bytes_looked_at * (context + certain));
  if (must_fit && context > 0 && text.size() > 2 * bytes) {
    const int64_t count =
        std::ssize(model.tokenizer().encode_ids(beginning(text, bytes), {.add_special_tokens = special_tokens}));
    if (count > 2 * context + certain) throw too_long_for_context(context, count, field);
  }
  return model.tokenizer().encode_ids(text, {.add_special_tokens = special_tokens});
}

}  // namespace qkv
