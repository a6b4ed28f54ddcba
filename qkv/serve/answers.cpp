#include "qkv/serve/answers.h"

#include "qkv/core/error.h"
#include "qkv/serve/api_error.h"

#include <algorithm>
#include <new>

namespace qkv {

namespace {

// "messages[0].content", "json_schema"; but no path and no option.
bool names_a_field(std::string_view where) {
  return !where.empty() && std::all_of(where.begin(), where.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '[' || c == ']';
  });
}

}  // namespace

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void send_json(HttpReply& reply, const Json& value, int status) {
  reply.send(status, "application/json", dump_json(value));
}

ErrorAnswer answer_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const ApiError& error) {
    return {error.status(), error.json()};
  } catch (const Error& error) {
    const bool theirs = error.kind() == Error::Kind::user;
    // A file of the server is nobody else's business, and no field of a request.
    const bool field = names_a_field(error.where());
    return {theirs ? 400 : 500,
            ApiError(theirs ? 400 : 500, field ? fmt::format("{} {}", error.where(), error.reason()) : error.reason(),
                     theirs && field ? error.where() : "")
                .json()};
  } catch (const std::bad_alloc&) {
    return {503, ApiError(503, "The server is out of memory; try a shorter request.").json()};
  } catch (const std::exception& error) {
    return {500, ApiError(500, fmt::format("Internal error: {}", error.what())).json()};
  }
}

void in_words_of_api(const std::function<std::string(const std::string& name)>& field_of,
                     const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    const std::string field = error.kind() == Error::Kind::user ? field_of(error.where()) : "";
    if (field.empty()) throw;
    throw ApiError(400, fmt::format("'{}' {}.", field, error.reason()), field);
  }
}

void answer_errors(HttpReply& reply, const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    const ErrorAnswer answer = answer_of(std::current_exception());
    HttpReply::Headers headers;
    if (answer.status == 429 || answer.status == 503) headers.emplace_back("Retry-After", "1");
    reply.send(answer.status, "application/json", dump_json(answer.body), headers);
  }
}

}  // namespace qkv
