// BoundedJson.h - JSON that strangers wrote, read in bounded time and depth.
#ifndef PIANOLA_RUNTIME_BOUNDEDJSON_H
#define PIANOLA_RUNTIME_BOUNDEDJSON_H

#include "runtime/JsonShape.h"
#include "runtime/Status.h"

#include <nlohmann/json.hpp>

namespace pianola {

constexpr size_t kMostJsonDepth = 128; // of what is recursed over
/// A fraction of a second; one object may have 6000 members.
constexpr uint64_t kMostJsonLookups = 20'000'000;

/// The error goes on from what the text is called: "is not JSON: byte 5".
inline Result<nlohmann::ordered_json> readBoundedJson(std::string_view text) {
  JsonShape shape = jsonShape(text);
  if (shape.depth > kMostJsonDepth)
    return Status::error("is nested " + std::to_string(shape.depth) + " deep, and " +
                         std::to_string(kMostJsonDepth) + " is allowed");
  if (shape.lookups > kMostJsonLookups)
    return Status::error("has objects with too many members");
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::ordered_json::parse_error &error) {
    return Status::error("is not JSON: byte " + std::to_string(error.byte));
  } catch (const nlohmann::ordered_json::exception &) {
    return Status::error("has a number that is out of range");
  }
}

} // namespace pianola

#endif
