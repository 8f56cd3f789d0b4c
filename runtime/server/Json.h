// Json.h - JSON of requests and replies.
#ifndef PIANOLA_RUNTIME_SERVER_JSON_H
#define PIANOLA_RUNTIME_SERVER_JSON_H

#include <nlohmann/json.hpp>

namespace pianola::server {

using nlohmann::ordered_json;

/// On one line. What is not UTF-8, as bytes of a token may be, becomes U+FFFD.
inline std::string textOf(const ordered_json &json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

} // namespace pianola::server

#endif
