// ApiError.h - what a request is refused with, in OpenAI's shape.
//
// https://platform.openai.com/docs/guides/error-codes: {"error": {"message", "type", "param",
// "code"}}.
#ifndef PIANOLA_RUNTIME_SERVER_APIERROR_H
#define PIANOLA_RUNTIME_SERVER_APIERROR_H

#include "runtime/server/Http.h"

namespace pianola::server {

struct ApiError {
  unsigned status;
  std::string message;
  std::string param;       // the field at fault; empty: null
  std::string code;        // empty: null
  unsigned retryAfter = 0; // seconds; 0: not said

  ApiError(unsigned status, std::string message, std::string param = "", std::string code = "")
      : status(status), message(std::move(message)), param(std::move(param)),
        code(std::move(code)) {}

  std::string json() const;
  HttpResponse response() const;
};

} // namespace pianola::server

#endif
