// ApiError.cpp - what a request is refused with, in OpenAI's shape.
#include "runtime/server/ApiError.h"

#include "runtime/server/Json.h"

namespace pianola::server {

static const char *typeOf(unsigned status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 500:
  case 501:
    return "server_error";
  case 503:
    return "overloaded_error";
  default:
    return "invalid_request_error";
  }
}

std::string ApiError::json() const {
  ordered_json error = {{"message", message}, {"type", typeOf(status)}};
  error["param"] = param.empty() ? ordered_json() : ordered_json(param);
  error["code"] = code.empty() ? ordered_json() : ordered_json(code);
  return textOf({{"error", error}});
}

HttpResponse ApiError::response() const {
  HttpResponse response;
  response.status = status;
  response.body = json();
  if (retryAfter)
    response.headers.emplace_back("Retry-After", std::to_string(retryAfter));
  if (status == 401)
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

} // namespace pianola::server
