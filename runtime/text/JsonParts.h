// JsonParts.h - reading the parts of a tokenizer.json.
#ifndef PIANOLA_RUNTIME_TEXT_JSONPARTS_H
#define PIANOLA_RUNTIME_TEXT_JSONPARTS_H

#include "runtime/Status.h"

#include <nlohmann/json.hpp>
#include <string>

namespace pianola {

/// The member, or null if there is none, or if `value` is no object.
const nlohmann::json &member(const nlohmann::json &value, const char *name);

/// The `type` of a part; empty if it has none.
std::string typeOf(const nlohmann::json &value);

/// A flag, or `otherwise` if it is not given. An error if it is something else than a flag.
Result<bool> flag(const nlohmann::json &value, const char *name, bool otherwise,
                  const std::string &path);

/// A text, which must be there.
Result<std::string> text(const nlohmann::json &value, const char *name, const std::string &path);

/// Calls `read(part, path)` for each part of a Sequence, whose parts are in the member `name`, and
/// of the Sequences in it; for what is no Sequence, for itself.
template <typename Read>
Status eachPart(const nlohmann::json &value, const char *name, const std::string &path, Read read) {
  if (typeOf(value) != "Sequence")
    return read(value, path);
  const nlohmann::json &parts = member(value, name);
  if (!parts.is_array())
    return Status::error(path + "." + name + ": expected a list");
  for (size_t i = 0; i < parts.size(); ++i)
    if (Status status =
            eachPart(parts[i], name, path + "." + name + "[" + std::to_string(i) + "]", read);
        !status.ok())
      return status;
  return Status();
}

/// "PATH.type: "X" is not supported (known: ...)"
Status unknownType(const nlohmann::json &value, const std::string &path, const char *known);

} // namespace pianola

#endif
