#include "qkv/serve/response_format.h"

#include "qkv/generate/grammar/gbnf_grammar.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "qkv/generate/grammar/regex_grammar.h"
#include "qkv/serve/answers.h"

namespace qkv {

void hold_to(Writing& writing, ServedModel& model, const std::string& field, const std::function<Grammar()>& grammar) {
  writing.form = field;
  in_words_of_api([&](const std::string&) { return field; },
                  [&] { constrain(writing.options, grammar(), model.token_texts()); });
}

void read_response_format(Fields& fields, ServedModel& model, Writing& writing) {
  const OrderedJson* given = fields.find("response_format");
  const std::optional<std::string> rules = fields.text("grammar");
  if (rules && given != nullptr) fields.fail("grammar", "says what an answer is, and response_format does too");
  if (rules) hold_to(writing, model, "grammar", [&] { return gbnf_grammar(*rules); });
  if (given == nullptr) return;
  Fields format(*given, "response_format.");
  const std::string type = format.required_text("type");
  std::string field = "response_format";
  std::function<Grammar()> grammar;
  if (type == "json_object") {
    grammar = json_object_grammar;
  } else if (type == "json_schema") {
    Fields named(format.require("json_schema"), "response_format.json_schema.");
    field += ".json_schema.schema";
    grammar = [&schema = named.require("schema")] { return json_schema_grammar(schema); };
    named.ignore({"name", "description", "strict"});
    named.finish();
  } else if (type == "regex") {
    field += ".pattern";
    grammar = [pattern = format.required_text("pattern")] { return regex_grammar(pattern); };
  } else if (type == "grammar") {
    field += ".grammar";
    grammar = [text = format.required_text("grammar")] { return gbnf_grammar(text); };
  } else if (type != "text") {
    format.fail("type", "must be 'text', 'json_object', 'json_schema', 'regex' or 'grammar'");
  }
  format.finish();
  if (grammar) hold_to(writing, model, field, grammar);
}

}  // namespace qkv
