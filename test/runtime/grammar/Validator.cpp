// Validator.cpp - JSON Schema by its definition.
#include "test/runtime/grammar/Validator.h"

#include "runtime/text/Utf8.h"

#include <cmath>
#include <regex>

using Json = nlohmann::ordered_json;

static std::wstring wide(const std::string &text) {
  std::wstring characters;
  for (size_t i = 0; i < text.size();) {
    pianola::Character c = pianola::characterAt(text, i);
    characters += static_cast<wchar_t>(c.code);
    i += c.size;
  }
  return characters;
}

static bool isOfType(const Json &value, const std::string &type) {
  if (type == "null")
    return value.is_null();
  if (type == "boolean")
    return value.is_boolean();
  if (type == "object")
    return value.is_object();
  if (type == "array")
    return value.is_array();
  if (type == "string")
    return value.is_string();
  if (type == "number")
    return value.is_number();
  return value.is_number() && value.get<double>() == std::floor(value.get<double>());
}

std::string findFault(const Json &value, const Json &schema, const Json &document,
                      const std::string &where) {
  auto fault = [&](const std::string &what) { return where + ": " + what; };
  if (schema.is_boolean())
    return schema.get<bool>() ? "" : fault("nothing is valid here");
  auto check = [&](const Json &part, const Json &by, const std::string &at) {
    return findFault(part, by, document, at);
  };
  if (schema.contains("$ref")) {
    std::string path = schema["$ref"].get<std::string>().substr(1);
    for (size_t at; (at = path.find("%20")) != std::string::npos;)
      path.replace(at, 3, " ");
    if (std::string found =
            check(value, nlohmann::json(document).at(nlohmann::json::json_pointer(path)), where);
        !found.empty())
      return found;
  }
  if (schema.contains("type")) {
    Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    bool isAny = false;
    for (const Json &type : types)
      isAny |= isOfType(value, type);
    if (!isAny)
      return fault("type");
  }
  // Equal in any order of members.
  auto isValue = [&](const Json &each) { return nlohmann::json(each) == nlohmann::json(value); };
  if (schema.contains("enum") &&
      std::none_of(schema["enum"].begin(), schema["enum"].end(), isValue))
    return fault("enum");
  if (schema.contains("const") && !isValue(schema["const"]))
    return fault("const");
  for (const char *name : {"allOf", "anyOf", "oneOf"})
    if (schema.contains(name)) {
      size_t valid = 0, all = schema[name].size();
      for (const Json &each : schema[name])
        valid += check(value, each, where).empty();
      std::string kind = name;
      if (kind == "allOf" ? valid < all : kind == "anyOf" ? valid == 0 : valid != 1)
        return fault(kind);
    }
  if (value.is_number()) {
    double number = value;
    if (schema.contains("minimum") && number < schema["minimum"])
      return fault("minimum");
    if (schema.contains("maximum") && number > schema["maximum"])
      return fault("maximum");
    if (schema.contains("exclusiveMinimum") && number <= schema["exclusiveMinimum"])
      return fault("exclusiveMinimum");
    if (schema.contains("exclusiveMaximum") && number >= schema["exclusiveMaximum"])
      return fault("exclusiveMaximum");
    if (schema.contains("multipleOf") &&
        (!value.is_number_integer() || value.get<int64_t>() % schema["multipleOf"].get<int64_t>()))
      return fault("multipleOf");
  }
  if (value.is_string()) {
    std::wstring text = wide(value);
    if (schema.contains("minLength") && text.size() < schema["minLength"])
      return fault("minLength");
    if (schema.contains("maxLength") && text.size() > schema["maxLength"])
      return fault("maxLength");
    if (schema.contains("pattern") &&
        !std::regex_search(text, std::wregex(wide(schema["pattern"]), std::regex::ECMAScript)))
      return fault("pattern");
  }
  if (value.is_array()) {
    if (schema.contains("minItems") && value.size() < schema["minItems"])
      return fault("minItems");
    if (schema.contains("maxItems") && value.size() > schema["maxItems"])
      return fault("maxItems");
    size_t prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (size_t i = 0; i < value.size(); ++i)
      if (i < prefix || schema.contains("items"))
        if (std::string found =
                check(value[i], i < prefix ? schema["prefixItems"][i] : schema["items"],
                      where + "[" + std::to_string(i) + "]");
            !found.empty())
          return found;
  }
  if (value.is_object()) {
    if (schema.contains("required"))
      for (const std::string &name : schema["required"].get<std::vector<std::string>>())
        if (!value.contains(name))
          return fault("required " + name);
    if (schema.contains("minProperties") && value.size() < schema["minProperties"])
      return fault("minProperties");
    if (schema.contains("maxProperties") && value.size() > schema["maxProperties"])
      return fault("maxProperties");
    for (const auto &[name, member] : value.items()) {
      bool isNamed = schema.contains("properties") && schema["properties"].contains(name);
      if (!isNamed && !schema.contains("additionalProperties"))
        continue;
      const Json &by = isNamed ? schema["properties"][name] : schema["additionalProperties"];
      if (std::string found = check(member, by, where + "." + name); !found.empty())
        return found;
    }
  }
  return "";
}
