// SchemaParts.cpp - what the keywords of a schema that combine others come down to.
#include "runtime/grammar/SchemaParts.h"

#include "runtime/grammar/Refusal.h"

#include <algorithm>
#include <cmath>

namespace pianola::grammar {

bool hasEqual(const Json &values, const Json &value) {
  return std::any_of(values.begin(), values.end(), [&](const Json &each) {
    return each == value || (each.is_structured() && value.is_structured() &&
                             nlohmann::json(each) == nlohmann::json(value));
  });
}

std::set<std::string> common(const std::set<std::string> &a, const std::set<std::string> &b) {
  std::set<std::string> both;
  for (const std::string &type : a)
    if (isAmong(type, b))
      both.insert(type);
  for (const std::string &type : b)
    if (isAmong(type, a))
      both.insert(type);
  return both;
}

const Json *find(const Json &object, const char *name) {
  auto place = object.find(name);
  return place == object.end() ? nullptr : &*place;
}

namespace {

constexpr size_t kMostParts = 256;
constexpr auto kMostTime = std::chrono::seconds(3);
constexpr int kDeepest = 32; // of $ref, allOf and anyOf in each other, without a property between

const std::set<std::string> kNotes = {
    "$schema",      "$id",      "$comment",  "$defs",         "$anchor",          "$vocabulary",
    "definitions",  "title",    "id",        "description",   "default",          "examples",
    "example",      "readOnly", "writeOnly", "deprecated",    "contentMediaType", "contentEncoding",
    "externalDocs", "xml",      "strict",    "discriminator", "contentSchema"};

const std::set<std::string> kAllTypes = {"null", "boolean", "object", "array", "number", "string"};

// Which type a keyword is about; the others do not narrow any.
const std::pair<const char *, const char *> kTyped[] = {
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},
};

bool isKnown(const std::string &name) {
  static const std::set<std::string> kOthers = {"type",  "enum",  "const", "allOf",
                                                "anyOf", "oneOf", "$ref"};
  return kOthers.count(name) || std::any_of(std::begin(kTyped), std::end(kTyped),
                                            [&](const auto &each) { return name == each.first; });
}

std::string decodedFragment(const std::string &text, const std::string &pointer) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i + 1])) ||
        !std::isxdigit(static_cast<unsigned char>(text[i + 2])))
      refuse(pointer + "/$ref: % must be followed by two hexadecimal digits");
    decoded += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
    i += 2;
  }
  return decoded;
}

} // namespace

std::string pointerPart(const std::string &name) {
  std::string text;
  for (char c : name)
    text += c == '~' ? std::string("~0") : c == '/' ? std::string("~1") : std::string(1, c);
  return text;
}

std::string typeNameOf(const Json &value) {
  switch (value.type()) {
  case Json::value_t::null:
    return "null";
  case Json::value_t::boolean:
    return "boolean";
  case Json::value_t::object:
    return "object";
  case Json::value_t::array:
    return "array";
  case Json::value_t::string:
    return "string";
  case Json::value_t::number_float:
    return std::floor(value.get<double>()) == value.get<double>() ? "integer" : "number";
  default:
    return "integer";
  }
}

bool isAmong(const std::string &type, const std::set<std::string> &types) {
  return types.count(type) || (type == "integer" && types.count("number"));
}

Json SchemaParts::withoutNotes(const Json &schema, const std::string &pointer) {
  Json rest = Json::object();
  for (const auto &[name, value] : schema.items()) {
    if (kNotes.count(name) || name.compare(0, 2, "x-") == 0 ||
        (name == "uniqueItems" && value == false))
      continue;
    if (!isKnown(name))
      refuse(pointer + ": \"" + name + "\" is not supported");
    rest[name] = value;
  }
  return rest;
}

SchemaParts::Place SchemaParts::follow(const Json &reference, const std::string &pointer) const {
  if (!reference.is_string())
    refuse(pointer + "/$ref: expected a string");
  std::string text = reference.get<std::string>();
  if (text != "#" && text.compare(0, 2, "#/") != 0)
    refuse(pointer + "/$ref: \"" + text +
           "\" is not supported; references are to be into the schema itself, as #/$defs/NAME");
  std::string path = decodedFragment(text.substr(1), pointer);
  const Json *at = &document;
  for (size_t i = 0; i < path.size();) {
    size_t end = std::min(path.find('/', i + 1), path.size());
    std::string name;
    for (size_t j = i + 1; j < end; ++j)
      if (path[j] == '~' && j + 1 < end && (path[j + 1] == '0' || path[j + 1] == '1'))
        name += path[++j] == '0' ? '~' : '/';
      else
        name += path[j];
    if (at->is_object() && at->contains(name))
      at = &at->at(name);
    else if (at->is_array() && !name.empty() && name.size() < 6 &&
             name.find_first_not_of("0123456789") == std::string::npos &&
             std::stoul(name) < at->size())
      at = &at->at(std::stoul(name));
    else
      refuse(pointer + "/$ref: there is nothing at \"" + text + "\"");
    i = end;
  }
  return {*at, "#" + path};
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

std::set<std::string> SchemaParts::typesOf(const Json &flat, const std::string &pointer) {
  std::set<std::string> types = kAllTypes;
  if (flat.contains("type")) {
    types.clear();
    Json list = flat["type"].is_array() ? flat["type"] : Json::array({flat["type"]});
    for (const Json &each : list) {
      if (!each.is_string() || !(kAllTypes.count(each) || each == "integer"))
        refuse(pointer +
               "/type: expected null, boolean, object, array, number, integer or "
               "string, or a list of these, found " +
               each.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 50));
      types.insert(each);
    }
    if (types.count("number"))
      types.erase("integer");
  }
  if (!flat.contains("enum"))
    return types;
  std::set<std::string> found;
  for (const Json &value : flat["enum"])
    if (std::string type = typeNameOf(value); isAmong(type, types))
      found.insert(type);
  return found;
}

std::set<std::string> SchemaParts::writtenTypesOf(const Json &flat, const std::string &pointer) {
  if (flat.contains("type") || flat.contains("enum"))
    return typesOf(flat, pointer);
  std::set<std::string> types;
  for (const auto &[name, type] : kTyped)
    if (flat.contains(name))
      types.insert(type);
  return types.empty() ? kAllTypes : types;
}

//===----------------------------------------------------------------------===//
// All of several schemas
//===----------------------------------------------------------------------===//

// Both must hold.
static Json bothOf(const Json &a, const Json &b) {
  if (a == b || b == true)
    return a;
  if (a == true)
    return b;
  if (a == false || b == false)
    return false;
  return Json{{"allOf", Json::array({a, b})}};
}

static Json mergedProperties(const Json &a, const Json &b) {
  static const Json kNone = Json::object();
  const Json &ofA = a.contains("properties") ? a["properties"] : kNone;
  const Json &ofB = b.contains("properties") ? b["properties"] : kNone;
  // What one does not name is what it says of those that it does not name.
  auto other = [](const Json &schema) {
    const Json *additional = find(schema, "additionalProperties");
    return additional ? *additional : Json(true);
  };
  Json merged = Json::object();
  for (const auto &[name, value] : ofA.items())
    merged[name] = bothOf(value, ofB.contains(name) ? ofB[name] : other(b));
  for (const auto &[name, value] : ofB.items())
    if (!ofA.contains(name))
      merged[name] = bothOf(value, other(a));
  return merged;
}

void SchemaParts::checkTime(const std::string &pointer) const {
  if (std::chrono::steady_clock::now() - begun > kMostTime)
    refuse(pointer + ": the schema takes too long to be read: there is too much to combine of "
                     "allOf, anyOf, oneOf and $ref");
}

// Nothing if no value can be both.
std::optional<Json> SchemaParts::merge(const Json &a, const Json &b, const std::string &pointer) {
  for (const Json *each : {&a, &b})
    for (const char *name : {"properties", "enum", "required"})
      if (const Json *value = find(*each, name))
        if (std::string(name) == "properties" ? !value->is_object() : !value->is_array())
          refuse(pointer + "/" + name + ": expected " +
                 (std::string(name) == "properties" ? "an object" : "a list"));
  Json merged = a;
  if (a.contains("properties") || b.contains("properties"))
    merged["properties"] = mergedProperties(a, b);
  for (const auto &[name, value] : b.items()) {
    const Json *mine = find(a, name.c_str());
    if (name == "properties")
      continue;
    if (!mine || *mine == value) {
      merged[name] = value;
    } else if (name == "type") {
      Json types = Json::array();
      for (const std::string &type :
           common(typesOf({{"type", *mine}}, pointer), typesOf({{"type", value}}, pointer)))
        types.push_back(type);
      if (types.empty())
        return std::nullopt;
      merged[name] = types;
    } else if (name == "enum") {
      Json values = Json::array();
      for (const Json &each : *mine) {
        checkTime(pointer);

        if (hasEqual(value, each))
          values.push_back(each);
      }
      merged[name] = values;
    } else if (name == "required") {
      for (const Json &each : value)
        if (std::find(mine->begin(), mine->end(), each) == mine->end())
          merged[name].push_back(each);
    } else if (name == "additionalProperties" ||
               (name == "items" && !a.contains("prefixItems") && !b.contains("prefixItems"))) {
      merged[name] = bothOf(*mine, value);
    } else if (name.compare(0, 3, "min") == 0 || name == "exclusiveMinimum" ||
               name.compare(0, 3, "max") == 0 || name == "exclusiveMaximum") {
      if (!mine->is_number() || !value.is_number())
        refuse(pointer + "/" + name + ": expected a number");
      bool isMost = name.compare(0, 3, "max") == 0 || name == "exclusiveMaximum";
      merged[name] = (value < *mine) == isMost ? value : *mine;
    } else {
      refuse(pointer + ": \"" + name + "\" of several schemas cannot be merged");
    }
  }
  return merged;
}

std::vector<Json> SchemaParts::flatten(const Json &schema, const std::string &pointer, int depth) {
  checkTime(pointer);
  if (depth > kDeepest)
    refuse(pointer + ": $ref, allOf, anyOf and oneOf are in each other too deeply");
  if (schema.is_boolean())
    return schema.get<bool>() ? std::vector<Json>{Json::object()} : std::vector<Json>();
  if (!schema.is_object())
    refuse(pointer + ": expected a schema: an object or a boolean");
  Json base = withoutNotes(schema, pointer);
  Json combined = Json::object();
  for (const char *name : {"$ref", "allOf", "anyOf", "oneOf"})
    if (base.contains(name)) {
      combined[name] = base[name];
      base.erase(name);
    }
  std::vector<Json> flats;
  if (base.contains("const")) {
    Json values = {{"enum", Json::array({base["const"]})}};
    base.erase("const");
    if (std::optional<Json> both = merge(base, values, pointer))
      flats.push_back(std::move(*both));
  } else {
    flats.push_back(std::move(base));
  }
  auto with = [&](const std::vector<Json> &others) {
    std::vector<Json> both;
    for (const Json &a : flats)
      for (const Json &b : others)
        if (std::optional<Json> merged = merge(a, b, pointer))
          both.push_back(std::move(*merged));
    if (both.size() > kMostParts)
      refuse(pointer + ": anyOf and oneOf come to more than " + std::to_string(kMostParts) +
             " combinations");
    flats = std::move(both);
  };
  if (const Json *reference = find(combined, "$ref")) {
    Place place = follow(*reference, pointer);
    with(flatten(place.schema, place.pointer, depth + 1));
  }
  if (combined.contains("allOf")) {
    const Json &list = options(combined, "allOf", pointer, depth);
    for (size_t i = 0; i < list.size(); ++i)
      with(flatten(list[i], pointer + "/allOf/" + std::to_string(i), depth + 1));
  }
  for (const char *name : {"anyOf", "oneOf"})
    if (combined.contains(name)) {
      const Json &list = options(combined, name, pointer, depth);
      std::vector<Json> all;
      for (size_t i = 0; i < list.size(); ++i)
        for (Json &each :
             flatten(list[i], pointer + "/" + name + "/" + std::to_string(i), depth + 1))
          all.push_back(std::move(each));
      with(all);
    }
  return flats;
}

} // namespace pianola::grammar
