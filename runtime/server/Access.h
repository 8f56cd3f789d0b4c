// Access.h - who may ask.
#ifndef PIANOLA_RUNTIME_SERVER_ACCESS_H
#define PIANOLA_RUNTIME_SERVER_ACCESS_H

#include "runtime/server/ApiError.h"

#include <optional>

namespace pianola::server {

struct Access {
  std::vector<std::string> keys; // none: no key is asked for
  /// Names that the Host field may have. Empty: any. On a loopback address those of loopback
  /// alone, so that no page of another site can reach the server under a name of its own.
  std::vector<std::string> hosts;
  std::vector<std::string> origins; // of pages that may ask, beside the server's own; "*": any

  /// Why a request is refused. The page and /health need no key.
  std::optional<ApiError> check(const HttpRequest &request) const;
  /// Whether a page of this origin is one of `origins`, and must be told so.
  bool allowsOrigin(const std::string &origin) const;
};

/// Takes as long for any two texts of these lengths.
bool equalInConstantTime(const std::string &left, const std::string &right);

} // namespace pianola::server

#endif
