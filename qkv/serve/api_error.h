// What a client did wrong, or the server, in the form of OpenAI's error objects.
#pragma once

#include "qkv/core/json.h"

#include <stdexcept>
#include <string>

namespace qkv {

class ApiError : public std::runtime_error {
 public:
  // `param` names the field; `code` is a word for programs. Either may be empty.
  ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message), status_(status), param_(std::move(param)), code_(std::move(code)) {}

  int status() const { return status_; }
  // {"error": {"message", "type", "param", "code"}}
  Json json() const;

 private:
  int status_;
  std::string param_, code_;
};

// Too much waits already. Whoever answers it tells the client when to try again (answer_errors()).
ApiError overloaded();

}  // namespace qkv
