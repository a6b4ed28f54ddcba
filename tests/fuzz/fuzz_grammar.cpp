// A regular expression, a JSON Schema or GBNF rules from anywhere: an Error, or a grammar that a text can be held to in
// bounded time.
#include "qkv/core/error.h"
#include "qkv/generate/grammar/gbnf_grammar.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const qkv::Grammar grammar = data[0] % 3 == 0   ? qkv::regex_grammar(text)
                                 : data[0] % 3 == 1 ? qkv::json_schema_grammar(qkv::parse_ordered_json(text, "fuzz"))
                                                    : qkv::gbnf_grammar(text);
    qkv::Grammar::State state = grammar.begin();
    for (const char32_t c : U"{\"a\": [1, true, \"b\"]} aaaa") {
      const qkv::Grammar::State next = grammar.after(state, c);
      if (!next.empty()) state = next;
    }
  } catch (const qkv::Error&) {
  }
  return 0;
}
