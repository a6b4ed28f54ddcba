#include "qkv/generate/constraints.h"

#include "qkv/core/error.h"
#include "qkv/generate/grammar/gbnf_grammar.h"
#include "qkv/generate/grammar/token_mask.h"
#include "qkv/generate/token_trie.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace qkv {
namespace {

using Ids = std::vector<int32_t>;

Ids ids_of(const Tokenizer& tokenizer, const std::string& text, const char* option) {
  Ids ids = tokenizer.encode_ids(text, {.add_special_tokens = false});
  if (ids.empty()) throw Error(option, fmt::format("'{}' has nothing that the tokenizer makes tokens of", text));
  return ids;
}

void add_bad_word(const std::string& word, const Tokenizer& tokenizer, std::vector<Ids>& bad) {
  for (const std::string& form : {word, " " + word}) {
    Ids ids = ids_of(tokenizer, form, "--bad-word");
    if (std::find(bad.begin(), bad.end(), ids) == bad.end()) bad.push_back(std::move(ids));
  }
}

int32_t token_named(const std::string& name, const Tokenizer& tokenizer, const char* option) {
  if (const std::optional<int32_t> id = tokenizer.id(name)) return *id;
  int32_t id = -1;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), id);
  const bool number = problem == std::errc() && end == name.data() + name.size();
  if (!number || id < 0 || id >= tokenizer.vocab_size())
    throw Error(option, fmt::format("the tokenizer has no token '{}'", name),
                "give a token as the vocabulary spells it, or its id; qkv tokenize shows both");
  return id;
}

}  // namespace

void apply_constraints(const Constraints& constraints, const Tokenizer& tokenizer, GenerationOptions& options) {
  for (const std::string& word : constraints.bad_words) add_bad_word(word, tokenizer, options.bad_words);
  if (!constraints.forced_first.empty())
    options.forced_first = token_named(constraints.forced_first, tokenizer, "--forced-first");
  if (!constraints.forced_last.empty())
    options.forced_last = token_named(constraints.forced_last, tokenizer, "--forced-last");
  if (!constraints.grammar.empty()) {
    if (!constraints.only.empty() || !constraints.forced_first.empty() || !constraints.forced_last.empty())
      throw Error("--grammar", "says what the text is, and --only and forced tokens do too", "give one of them");
    return constrain(options, gbnf_grammar(constraints.grammar), std::make_shared<TokenTexts>(tokenizer));
  }
  if (constraints.only.empty()) return;
  if (options.end_ids.empty()) throw Error("--only", "needs a token that ends a text, and this model has none");
  const auto trie = std::make_shared<TokenTrie>();
  for (const std::string& text : constraints.only) trie->add(ids_of(tokenizer, text, "--only"));
  options.allowed = [trie, ends = options.end_ids](std::span<const int32_t> said, size_t prompt) {
    TokenTrie::Next next = trie->after(said.subspan(prompt));
    // Behind a complete text, and where a forced token has led elsewhere, the end remains.
    if (next.complete || next.tokens.empty()) next.tokens.insert(next.tokens.end(), ends.begin(), ends.end());
    return next.tokens;
  };
}

}  // namespace qkv
