// Access.cpp - who may ask.
#include "runtime/server/Access.h"

#include <algorithm>

namespace pianola::server {

bool equalInConstantTime(const std::string &left, const std::string &right) {
  unsigned char difference = left.size() == right.size() ? 0 : 1;
  for (size_t i = 0; i < left.size() && !right.empty(); ++i)
    difference |= static_cast<unsigned char>(left[i] ^ right[i % right.size()]);
  return difference == 0;
}

// "[::1]:8080" is "[::1]".
static std::string nameOf(const std::string &host) {
  size_t colon = host.rfind(':');
  bool hasPort = colon != std::string::npos && host.find(']', colon) == std::string::npos;
  std::string name = hasPort ? host.substr(0, colon) : host;
  for (char &c : name)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

bool Access::allowsOrigin(const std::string &origin) const {
  return std::any_of(origins.begin(), origins.end(),
                     [&](const std::string &one) { return one == "*" || one == origin; });
}

std::optional<ApiError> Access::check(const HttpRequest &request) const {
  const std::string &host = request.header("host");
  if (!hosts.empty() && std::find(hosts.begin(), hosts.end(), nameOf(host)) == hosts.end())
    return ApiError(403, "Host: " + (host.empty() ? "is missing" : host + " is not served here"));
  const std::string &origin = request.header("origin");
  bool isOwn = origin == "http://" + host || origin == "https://" + host;
  if (!origin.empty() && !isOwn && !allowsOrigin(origin))
    return ApiError(403, "Origin: pages of " + origin + " may not ask here");
  if (keys.empty() || request.path == "/health" || request.path == "/" ||
      request.method == "OPTIONS")
    return std::nullopt;
  const std::string &given = request.header("authorization");
  bool isBearer = given.size() > 7 && given.compare(0, 7, "Bearer ") == 0;
  std::string key = isBearer ? given.substr(7) : request.header("x-api-key");
  bool found = false;
  for (const std::string &one : keys)
    found |= equalInConstantTime(key, one);
  if (!found)
    return ApiError(401, "the API key is missing or wrong: send it as Authorization: Bearer KEY",
                    "", "invalid_api_key");
  return std::nullopt;
}

} // namespace pianola::server
