// The form that an answer must have.
#pragma once

#include "qkv/serve/fields.h"
#include "qkv/serve/served_model.h"
#include "qkv/serve/writing.h"

namespace qkv {

// "response_format": {"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name",
// "schema"}} as OpenAI has them, {"type": "regex", "pattern"} and {"type": "grammar", "grammar"} with GBNF rules, which
// may also stand beside it as "grammar", as llama.cpp's server has them. Nothing outside the form is ever written; an
// answer that reaches its length is cut off. Throws ApiError for what cannot be kept to.
void read_response_format(Fields& fields, ServedModel& model, Writing& writing);

// The text is held to what `grammar` makes. `field` asks for it, and is what an error is about.
void hold_to(Writing& writing, ServedModel& model, const std::string& field, const std::function<Grammar()>& grammar);

}  // namespace qkv
