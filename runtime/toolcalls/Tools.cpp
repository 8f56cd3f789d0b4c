// Tools.cpp - the tools of a request, as far as answers are read by them.
#include "runtime/toolcalls/Tools.h"

#include "runtime/toolcalls/JsonScanner.h"

#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::ordered_json;

static constexpr int kDeepestTypes = 8; // anyOf in anyOf
static constexpr uint8_t kAllTypes = 63;

static uint8_t typeNamed(const ordered_json &name) {
  static const std::pair<const char *, JsonTypes::Type> kNames[] = {
      {"null", JsonTypes::Null},      {"boolean", JsonTypes::Boolean},
      {"integer", JsonTypes::Number}, {"number", JsonTypes::Number},
      {"string", JsonTypes::String},  {"array", JsonTypes::Array},
      {"object", JsonTypes::Object}};
  for (const auto &[known, type] : kNames)
    if (name == known)
      return type;
  return 0;
}

static uint8_t typeOfValue(const ordered_json &value) {
  return value.is_null()      ? JsonTypes::Null
         : value.is_boolean() ? JsonTypes::Boolean
         : value.is_number()  ? JsonTypes::Number
         : value.is_string()  ? JsonTypes::String
         : value.is_array()   ? JsonTypes::Array
                              : JsonTypes::Object;
}

// A type for each of the list's members; 0 if one does not say.
template <typename Of> static uint8_t typesOfAll(const ordered_json &list, Of typesOfOne) {
  uint8_t all = 0;
  for (const ordered_json &each : list) {
    uint8_t types = typesOfOne(each);
    if (types == 0)
      return 0;
    all |= types;
  }
  return all;
}

static uint8_t typesOfSchema(const ordered_json &schema, int depth) {
  if (!schema.is_object() || depth > kDeepestTypes)
    return 0;
  if (auto type = schema.find("type"); type != schema.end())
    return type->is_array() ? typesOfAll(*type, typeNamed) : typeNamed(*type);
  if (auto values = schema.find("enum"); values != schema.end() && values->is_array())
    return typesOfAll(*values, typeOfValue);
  if (auto value = schema.find("const"); value != schema.end())
    return typeOfValue(*value);
  for (const char *keyword : {"anyOf", "oneOf"})
    if (auto options = schema.find(keyword); options != schema.end() && options->is_array())
      return typesOfAll(*options,
                        [&](const ordered_json &each) { return typesOfSchema(each, depth + 1); });
  return 0;
}

const ordered_json *functionOf(const ordered_json &tool) {
  if (!tool.is_object())
    return nullptr;
  auto function = tool.find("function");
  if (function == tool.end() || !function->is_object())
    return nullptr;
  auto name = function->find("name");
  return name != function->end() && name->is_string() ? &*function : nullptr;
}

Tools::Tools(const ordered_json &list) {
  if (!list.is_array())
    return;
  for (const ordered_json &tool : list) {
    const ordered_json *function = functionOf(tool);
    if (!function)
      continue;
    auto &parameters = functions[(*function)["name"].get<std::string>()];
    auto schema = function->find("parameters");
    if (schema == function->end() || !schema->is_object())
      continue;
    auto properties = schema->find("properties");
    if (properties == schema->end() || !properties->is_object())
      continue;
    for (const auto &[name, property] : properties->items())
      parameters[name].bits = typesOfSchema(property, 0);
  }
}

JsonTypes Tools::typesOf(const std::string &function, const std::string &parameter) const {
  auto place = functions.find(function);
  if (place == functions.end())
    return {};
  auto types = place->second.find(parameter);
  return types == place->second.end() ? JsonTypes() : types->second;
}

std::string escapedForJson(std::string_view text) {
  static const char *kHex = "0123456789abcdef";
  std::string escaped;
  for (char c : text) {
    switch (c) {
    case '"':
    case '\\':
      escaped += '\\';
      escaped += c;
      break;
    case '\n':
      escaped += "\\n";
      break;
    case '\t':
      escaped += "\\t";
      break;
    case '\r':
      escaped += "\\r";
      break;
    default:
      if (static_cast<unsigned char>(c) < ' ')
        escaped += std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
      else
        escaped += c;
    }
  }
  return escaped;
}

static uint8_t typeOfText(std::string_view json) {
  switch (json.front()) {
  case 'n':
    return JsonTypes::Null;
  case 't':
  case 'f':
    return JsonTypes::Boolean;
  case '[':
    return JsonTypes::Array;
  case '{':
    return JsonTypes::Object;
  case '"':
    return JsonTypes::String;
  default:
    return JsonTypes::Number;
  }
}

std::string parameterAsJson(std::string_view text, JsonTypes types) {
  std::string_view trimmed = text;
  while (!trimmed.empty() && isSpace(trimmed.front()))
    trimmed.remove_prefix(1);
  while (!trimmed.empty() && isSpace(trimmed.back()))
    trimmed.remove_suffix(1);
  // Templates write strings without quotation marks, so what has some is a string with them.
  uint8_t allowed = (types.bits ? types.bits : kAllTypes) & ~JsonTypes::String;
  // Some templates write what is no list as Python does.
  if (types.has(JsonTypes::Null) && trimmed == "None")
    return "null";
  if (allowed & JsonTypes::Boolean) {
    if (trimmed == "True")
      return "true";
    if (trimmed == "False")
      return "false";
  }
  if (!trimmed.empty() && isJson(trimmed) && (typeOfText(trimmed) & allowed))
    return std::string(trimmed);
  return '"' + escapedForJson(text) + '"';
}

} // namespace pianola
