#include "qkv/serve/response_format.h"

#include "qkv/generate/grammar/gbnf_grammar.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"

namespace qkv {

void read_response_format(Fields& fields, ServedModel& model, GenerationOptions& options) {
  const OrderedJson* given = fields.find("response_format");
  const std::optional<std::string> rules = fields.text("grammar");
  if (rules && given != nullptr) fields.fail("grammar", "says what an answer is, and response_format does too");
  if (rules) constrain(options, gbnf_grammar(*rules), model.token_texts());
  if (given == nullptr) return;
  Fields format(*given, "response_format.");
  const std::string type = format.required_text("type");
  std::optional<Grammar> grammar;
  if (type == "json_object") {
    grammar = json_object_grammar();
  } else if (type == "json_schema") {
    Fields named(format.require("json_schema"), "response_format.json_schema.");
    grammar = json_schema_grammar(named.require("schema"));
    named.ignore({"name", "description", "strict"});
    named.finish();
  } else if (type == "regex") {
    grammar = regex_grammar(format.required_text("pattern"));
  } else if (type == "grammar") {
    grammar = gbnf_grammar(format.required_text("grammar"));
  } else if (type != "text") {
    format.fail("type", "must be 'text', 'json_object', 'json_schema', 'regex' or 'grammar'");
  }
  format.finish();
  if (grammar) constrain(options, *std::move(grammar), model.token_texts());
}

}  // namespace qkv
