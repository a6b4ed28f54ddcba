#include "qkv/text/gap.h"

namespace qkv {
namespace {

struct Names {
  const char *prefix, *suffix, *middle;
};
constexpr Names usual_names[] = {
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},  // Qwen2.5-Coder, CodeGemma
    {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},        // StarCoder, Granite Code
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},        // SantaCoder
    {"\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>"},           // CodeLlama
    {"<PRE>", "<SUF>", "<MID>"},
    {"<\uFF5Cfim\u2581begin\uFF5C>", "<\uFF5Cfim\u2581hole\uFF5C>", "<\uFF5Cfim\u2581end\uFF5C>"},  // DeepSeek-Coder
    {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},                                      // GLM
};
constexpr const char* usual_ends[] = {"\u2581<EOT>",  "<EOT>",      "<|endoftext|>", "<|fim_pad|>",
                                      "<|file_sep|>", "<file_sep>", "<|repo_name|>", "<|file_separator|>"};

}  // namespace

std::optional<GapTokens> gap_tokens(const Tokenizer& tokenizer) {
  const auto named = [&](const std::string& prefix, const std::string& suffix,
                         const std::string& middle) -> std::optional<GapTokens> {
    const auto first = tokenizer.id(prefix), second = tokenizer.id(suffix), third = tokenizer.id(middle);
    if (!first || !second || !third) return {};
    return GapTokens{*first, *second, *third, {}};
  };
  // A string, or an object with the string as its "content".
  const auto told = [&](const char* role) {
    Json name = tokenizer.config().value(role, Json());
    if (name.is_object()) name = name.value("content", Json());
    return name.is_string() ? name.get<std::string>() : std::string();
  };
  std::optional<GapTokens> gap = named(told("prefix_token"), told("suffix_token"), told("middle_token"));
  for (const Names& names : usual_names)
    if (!gap) gap = named(names.prefix, names.suffix, names.middle);
  if (!gap) return {};
  for (const char* end : usual_ends)
    if (const auto id = tokenizer.id(end)) gap->ends.push_back(*id);
  return gap;
}

std::vector<int32_t> gap_prompt(const Tokenizer& tokenizer, const GapTokens& gap, std::span<const int32_t> before,
                                std::string_view after) {
  std::vector<int32_t> ids = {gap.prefix};
  ids.insert(ids.end(), before.begin(), before.end());
  ids.push_back(gap.suffix);
  std::vector<int32_t> end = tokenizer.encode_ids(after, {.add_special_tokens = false});
  // The space that SentencePiece sees before a text's first word is none here.
  const bool spaced = !end.empty() && !after.starts_with(' ') && tokenizer.token(end.front()) == "\u2581";
  ids.insert(ids.end(), end.begin() + (spaced ? 1 : 0), end.end());
  ids.push_back(gap.middle);
  return tokenizer.frame(ids).ids;
}

}  // namespace qkv
