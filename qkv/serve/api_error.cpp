#include "qkv/serve/api_error.h"

namespace qkv {

Json ApiError::json() const {
  const char* type = status_ == 401   ? "authentication_error"
                     : status_ == 403 ? "permission_error"
                     : status_ == 429 ? "rate_limit_error"
                     : status_ >= 500 ? "server_error"
                                      : "invalid_request_error";
  return {{"error",
           {{"message", what()},
            {"type", type},
            {"param", param_.empty() ? Json() : Json(param_)},
            {"code", code_.empty() ? Json() : Json(code_)}}}};
}

ApiError overloaded() {
  return {429, "The server is overloaded: too many requests wait already. Try again later.", "", "engine_overloaded"};
}

}  // namespace qkv
