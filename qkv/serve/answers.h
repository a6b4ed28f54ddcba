// JSON answers, and errors as answers.
#pragma once

#include "qkv/core/json.h"
#include "qkv/serve/http.h"

#include <exception>
#include <functional>

namespace qkv {

// Text that is not valid UTF-8 comes out with U+FFFD.
std::string dump_json(const Json& value);

void send_json(HttpReply& reply, const Json& value, int status = 200);

// The error object and status of what was thrown: ApiError as it says; Error 400, or 500 for our own mistakes; 503 when
// the memory does not suffice; 500 for the rest.
struct ErrorAnswer {
  int status = 500;
  Json body;
};
ErrorAnswer answer_of(const std::exception_ptr& error);

// Runs `work`. An Error that it throws about something that the library calls by a name of its own, or by the command
// line's, becomes an ApiError about the field of that name. An empty name: the Error stays.
void in_words_of_api(const std::function<std::string(const std::string& name)>& field_of,
                     const std::function<void()>& work);

// Runs `work`; what it throws is the reply.
void answer_errors(HttpReply& reply, const std::function<void()>& work);

}  // namespace qkv
