// Tools.h - the tools of a request, as far as answers are read by them.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_TOOLS_H
#define PIANOLA_RUNTIME_TOOLCALLS_TOOLS_H

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace pianola {

/// The JSON types that a schema allows.
struct JsonTypes {
  enum Type : uint8_t { Null = 1, Boolean = 2, Number = 4, String = 8, Array = 16, Object = 32 };
  uint8_t bits = 0; // none: the schema does not say
  bool has(Type type) const { return bits & type; }
  bool isOnly(Type type) const { return bits == type; }
};

/// Names, and the types of parameters. What is not of OpenAI's form is passed over.
class Tools {
public:
  /// `list` is an array of {"type": "function", "function": {"name", "parameters"}}; null: none.
  explicit Tools(const nlohmann::ordered_json &list);

  bool has(const std::string &name) const { return functions.count(name); }
  /// By the top level of the parameters' schema, through anyOf, oneOf, enum and const.
  JsonTypes typesOf(const std::string &function, const std::string &parameter) const;

private:
  std::map<std::string, std::map<std::string, JsonTypes>> functions;
};

/// What stands between the tags of a parameter as JSON: as it is, if it is JSON of one of the
/// types, or any but a string where the types are not known; else as a string.
std::string parameterAsJson(std::string_view text, JsonTypes types);

/// A part of a JSON string, without quotation marks.
std::string escapedForJson(std::string_view text);

/// The object with name and parameters in a tool of OpenAI's form, or null.
const nlohmann::ordered_json *functionOf(const nlohmann::ordered_json &tool);

} // namespace pianola

#endif
