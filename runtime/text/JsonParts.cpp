// JsonParts.cpp - reading the parts of a tokenizer.json.
#include "runtime/text/JsonParts.h"

namespace pianola {

using nlohmann::json;

const json &member(const json &value, const char *name) {
  static const json none;
  if (!value.is_object())
    return none;
  auto found = value.find(name);
  return found == value.end() ? none : *found;
}

std::string typeOf(const json &value) {
  const json &type = member(value, "type");
  return type.is_string() ? type.get<std::string>() : std::string();
}

Result<bool> flag(const json &value, const char *name, bool otherwise, const std::string &path) {
  const json &found = member(value, name);
  if (found.is_null())
    return otherwise;
  if (!found.is_boolean())
    return Status::error(path + "." + name + ": expected true or false");
  return found.get<bool>();
}

Result<std::string> text(const json &value, const char *name, const std::string &path) {
  const json &found = member(value, name);
  if (!found.is_string())
    return Status::error(path + "." + name + ": expected a text");
  return found.get<std::string>();
}

Status unknownType(const json &value, const std::string &path, const char *known) {
  return Status::error(path + ".type: \"" + typeOf(value) + "\" is not supported (known: " + known +
                       ")");
}

} // namespace pianola
