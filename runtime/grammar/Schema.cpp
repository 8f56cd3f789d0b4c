// Schema.cpp - JSON Schema to grammars: a rule for each schema in the schema.
#include "runtime/grammar/Schema.h"

#include "runtime/JsonDepth.h"
#include "runtime/grammar/JsonForms.h"
#include "runtime/grammar/NumberForms.h"
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/SchemaParts.h"
#include "runtime/grammar/StringPattern.h"
#include "runtime/text/Utf8.h"

#include <cmath>
#include <map>
#include <vector>

namespace pianola::grammar {

namespace {

constexpr size_t kMostText = 1 << 19, kMostSchemas = 50000, kLongestName = 256;
constexpr size_t kDeepest = 100, kMostPrefixItems = 500;

class SchemaCompiler {
public:
  explicit SchemaCompiler(const Json &document) : document(document), parts(document) {}

  std::shared_ptr<const Grammar> compile(const Json &schema, const std::string &pointer) {
    Expression root = ruleFor(schema, pointer);
    // Schemas are not compiled within each other: references may go around in circles.
    for (size_t i = 0; i < waiting.size(); ++i) {
      Waiting next = std::move(waiting[i]);
      rules.rules[next.rule].body = bodyOf(next.schema, next.pointer);
    }
    Result<std::shared_ptr<const Grammar>> grammar = Grammar::compile(rules);
    if (!grammar)
      refuse(grammar.message());
    return *grammar;
  }

private:
  struct Waiting {
    Json schema;
    std::string pointer;
    uint32_t rule;
  };

  // Equal schemas share a rule.
  Expression ruleFor(const Json &schema, const std::string &pointer) {
    auto [place, isNew] =
        ruleOfText.try_emplace(schema.dump(-1, ' ', false, Json::error_handler_t::replace), 0);
    if (isNew) {
      parts.checkTime(pointer);
      if (waiting.size() >= kMostSchemas)
        refuse(pointer + ": more than " + std::to_string(kMostSchemas) + " schemas in the schema");
      place->second = rules.add("schema, " + pointer);
      waiting.push_back({schema, pointer, place->second});
    }
    return ruleOf(place->second);
  }

  Expression bodyOf(const Json &schema, const std::string &pointer);
  Expression flatBody(const Json &flat, const std::string &pointer);
  Expression enumBody(const Json &flat, const std::string &pointer);
  Expression objectBody(const Json &flat, const std::string &pointer);
  Expression arrayBody(const Json &flat, const std::string &pointer);
  Expression stringBody(const Json &flat, const std::string &pointer);
  Expression numberBody(const Json &flat, const std::string &pointer, bool isInteger);

  std::optional<uint32_t> countOf(const Json &flat, const char *name, const std::string &pointer);
  struct Range {
    uint32_t least, most;
  };
  Range rangeOf(const Json &flat, const char *least, const char *most, const std::string &pointer);

  const Json &document;
  SchemaParts parts;
  Rules rules;
  JsonForms forms{rules};
  std::map<std::string, uint32_t> ruleOfText;
  std::vector<Waiting> waiting;
};

Expression SchemaCompiler::bodyOf(const Json &schema, const std::string &pointer) {
  if (schema.is_object()) {
    Json rest = SchemaParts::withoutNotes(schema, pointer);
    if (rest.empty())
      return forms.value();
    // What needs no merging keeps its rules, and so may refer to itself.
    if (rest.size() == 1 && rest.contains("$ref")) {
      SchemaParts::Place place = parts.follow(rest["$ref"], pointer);
      return ruleFor(place.schema, place.pointer);
    }
    for (const char *name : {"anyOf", "oneOf", "allOf"})
      if (rest.size() == 1 && rest.contains(name)) {
        const Json &list = parts.options(rest, name, pointer);
        if (std::string(name) == "allOf" && list.size() > 1)
          continue;
        std::vector<Expression> ways;
        for (size_t i = 0; i < list.size(); ++i)
          ways.push_back(ruleFor(list[i], pointer + "/" + name + "/" + std::to_string(i)));
        return choiceOf(std::move(ways));
      }
  }
  std::vector<Expression> ways;
  for (const Json &flat : parts.flatten(schema, pointer))
    ways.push_back(flat.empty() ? forms.value() : flatBody(flat, pointer));
  return choiceOf(std::move(ways));
}

Expression SchemaCompiler::flatBody(const Json &flat, const std::string &pointer) {
  if (flat.contains("enum"))
    return enumBody(flat, pointer);
  std::vector<Expression> ways;
  for (const std::string &type : SchemaParts::writtenTypesOf(flat, pointer)) {
    if (type == "null")
      ways.push_back(textOf("null"));
    else if (type == "boolean")
      ways.push_back(forms.boolean());
    else if (type == "object")
      ways.push_back(objectBody(flat, pointer));
    else if (type == "array")
      ways.push_back(arrayBody(flat, pointer));
    else if (type == "string")
      ways.push_back(stringBody(flat, pointer));
    else
      ways.push_back(numberBody(flat, pointer, type == "integer"));
  }
  return choiceOf(std::move(ways));
}

// Values that other keywords rule out are left out: those that are no text of their grammar.
Expression SchemaCompiler::enumBody(const Json &flat, const std::string &pointer) {
  if (!flat["enum"].is_array())
    refuse(pointer + "/enum: expected a list");
  Json rest = flat;
  rest.erase("enum");
  std::set<std::string> types = SchemaParts::typesOf(rest, pointer);
  rest.erase("type");
  std::set<std::string> narrowed; // the types that other keywords are about
  if (!rest.empty())
    narrowed = SchemaParts::writtenTypesOf(rest, pointer);
  std::shared_ptr<const Grammar> others;
  std::vector<Expression> ways;
  for (const Json &value : flat["enum"]) {
    std::string type = typeNameOf(value), text = JsonForms::write(value);
    if (!isAmong(type, types))
      continue;
    if (isAmong(type, narrowed)) {
      if (value.is_structured())
        refuse(pointer + "/enum: an " + type + " beside other keywords is not supported");
      if (!others) {
        rest["type"] = Json::array({"string", "number"});
        others = SchemaCompiler(document).compile(rest, pointer);
      }
      if (!matches(others, text))
        continue;
    }
    ways.push_back(textOf(std::move(text)));
  }
  return choiceOf(std::move(ways));
}

//===----------------------------------------------------------------------===//
// Objects and arrays
//===----------------------------------------------------------------------===//

// Counts that are larger than anyone writes are as good as any.
std::optional<uint32_t> SchemaCompiler::countOf(const Json &flat, const char *name,
                                                const std::string &pointer) {
  if (!flat.contains(name))
    return std::nullopt;
  const Json &value = flat[name];
  if (!value.is_number() || value < 0 || typeNameOf(value) != "integer")
    refuse(pointer + "/" + name + ": expected a whole number, 0 or more");
  return value > kMostRepeats ? kMostRepeats + 1 : value.get<uint32_t>();
}

SchemaCompiler::Range SchemaCompiler::rangeOf(const Json &flat, const char *least, const char *most,
                                              const std::string &pointer) {
  Range range{countOf(flat, least, pointer).value_or(0),
              countOf(flat, most, pointer).value_or(kUnbounded)};
  if (range.least > kMostRepeats)
    refuse(pointer + "/" + least + ": more than " + std::to_string(kMostRepeats) +
           " are not supported");
  if (range.most != kUnbounded)
    range.most = std::min(range.most, kMostRepeats);
  return range;
}

Expression SchemaCompiler::objectBody(const Json &flat, const std::string &pointer) {
  static const Json kNone = Json::object();
  const Json &properties = flat.contains("properties") ? flat["properties"] : kNone;
  if (!properties.is_object())
    refuse(pointer + "/properties: expected an object");
  std::set<std::string> required;
  if (flat.contains("required")) {
    if (!flat["required"].is_array())
      refuse(pointer + "/required: expected a list");
    for (const Json &name : flat["required"]) {
      if (!name.is_string())
        refuse(pointer + "/required: expected names");
      required.insert(name.get<std::string>());
    }
  }
  // Who lists properties means these; who lists none means any.
  Json additional = flat.contains("additionalProperties") ? flat["additionalProperties"]
                                                          : Json(!flat.contains("properties"));
  std::string additionalPointer = pointer + "/additionalProperties";

  struct Property {
    Expression member;
    bool isRequired;
  };
  std::vector<Property> members;
  std::vector<std::string> names;
  auto addMember = [&](const std::string &name, const Json &schema, const std::string &where) {
    if (name.size() > kLongestName)
      refuse(where + ": the name has more than " + std::to_string(kLongestName) + " bytes");
    names.push_back(name);
    members.push_back(
        {sequenceOf({textOf(JsonForms::write(name)), JsonForms::colon(), ruleFor(schema, where)}),
         required.erase(name) > 0});
  };
  for (const auto &[name, schema] : properties.items())
    addMember(name, schema, pointer + "/properties/" + pointerPart(name));
  if (flat.contains("required"))
    for (const Json &name : flat["required"])
      if (required.count(name)) {
        // Whoever wants it has said nothing more of it.
        Json schema = flat.contains("additionalProperties") ? additional : Json(true);
        addMember(name, schema, additionalPointer);
      }

  Range range = rangeOf(flat, "minProperties", "maxProperties", pointer);
  uint32_t needed = 0;
  for (const Property &member : members)
    needed += member.isRequired;
  if (range.least > std::max<uint32_t>(needed, 1))
    refuse(pointer + "/minProperties: more than 1, and more than are required, is not supported");
  uint32_t more = kUnbounded;
  if (range.most != kUnbounded) {
    if (range.most < members.size())
      refuse(pointer + "/maxProperties: less than are named is not supported");
    more = range.most - static_cast<uint32_t>(members.size());
  }

  // rest: what may follow a member, from this one on. begin: what the first member may be.
  Expression other = sequenceOf({JsonForms::nameOtherThan(names), JsonForms::colon(),
                                 ruleFor(additional, additionalPointer)});
  bool hasOthers = additional != false && more > 0;
  Expression rest = sequenceOf({}), begin = nothing();
  if (hasOthers) {
    uint32_t after = more == kUnbounded ? more : more - 1;
    begin = sequenceOf({other, repeatOf(sequenceOf({forms.comma(), other}), 0, after)});
    rest = repeatOf(sequenceOf({forms.comma(), std::move(other)}), 0, more);
  }
  std::string name = "schema, " + pointer;
  for (size_t i = members.size(); i > 0; --i) {
    auto &[member, isRequired] = members[i - 1];
    Expression after = ruleOf(rules.add(name, std::move(rest)));
    Expression first = sequenceOf({member, after});
    begin = isRequired ? std::move(first)
                       : choiceOf({std::move(first), ruleOf(rules.add(name, std::move(begin)))});
    Expression next = sequenceOf({forms.comma(), std::move(member)});
    rest = sequenceOf({isRequired ? std::move(next) : optional(std::move(next)), std::move(after)});
  }
  std::vector<Expression> ways = {forms.around("{", std::move(begin), "}")};
  if (needed == 0 && range.least == 0)
    ways.push_back(textOf("{}"));
  return choiceOf(std::move(ways));
}

Expression SchemaCompiler::arrayBody(const Json &flat, const std::string &pointer) {
  auto [least, most] = rangeOf(flat, "minItems", "maxItems", pointer);
  std::vector<Expression> prefix;
  if (flat.contains("prefixItems")) {
    const Json &list = flat["prefixItems"];
    if (!list.is_array() || list.size() > kMostPrefixItems)
      refuse(pointer + "/prefixItems: expected a list of at most " +
             std::to_string(kMostPrefixItems) + " schemas");
    for (size_t i = 0; i < list.size() && i < most; ++i)
      prefix.push_back(ruleFor(list[i], pointer + "/prefixItems/" + std::to_string(i)));
  }
  // As with properties: who lists items means these.
  Json items = flat.contains("items") ? flat["items"] : Json(!flat.contains("prefixItems"));
  if (items.is_array())
    refuse(pointer + "/items: a list is not supported; the keyword is prefixItems");
  Expression item = ruleFor(items, pointer + "/items");
  uint32_t count = static_cast<uint32_t>(prefix.size());
  Expression body;
  if (most == 0) {
    body = nothing();
  } else if (count == 0) {
    Expression more = sequenceOf({forms.comma(), item});
    body = sequenceOf({item, repeatOf(std::move(more), least > 0 ? least - 1 : 0,
                                      most == kUnbounded ? most : most - 1)});
  } else {
    body = repeatOf(sequenceOf({forms.comma(), item}), least > count ? least - count : 0,
                    most == kUnbounded ? most : most - count);
    for (uint32_t i = count; i > 1; --i) {
      Expression next = sequenceOf({forms.comma(), prefix[i - 1], std::move(body)});
      // The array may end before an item that it need not have.
      body = i > least ? optional(std::move(next)) : std::move(next);
      body = ruleOf(rules.add("schema, " + pointer, std::move(body)));
    }
    body = sequenceOf({prefix[0], std::move(body)});
  }
  std::vector<Expression> ways = {forms.around("[", std::move(body), "]")};
  if (least == 0)
    ways.push_back(textOf("[]"));
  return choiceOf(std::move(ways));
}

//===----------------------------------------------------------------------===//
// Strings and numbers
//===----------------------------------------------------------------------===//

Expression SchemaCompiler::stringBody(const Json &flat, const std::string &pointer) {
  auto [least, most] = rangeOf(flat, "minLength", "maxLength", pointer);
  const char *keyword = "pattern";
  std::string pattern;
  if (flat.contains("pattern")) {
    if (!flat["pattern"].is_string())
      refuse(pointer + "/pattern: expected a string");
    pattern = flat["pattern"];
  }
  if (flat.contains("format")) {
    // What is no format of strings says how numbers are stored, or is no format of the standard's.
    static const std::set<std::string> kFree = {"int32",  "int64",    "uint32", "uint64", "float",
                                                "double", "password", "binary", "byte"};
    const Json &format = flat["format"];
    const char *found = format.is_string() ? patternOfFormat(format.get<std::string>()) : nullptr;
    if (!found && !(format.is_string() && kFree.count(format.get<std::string>())))
      refuse(pointer + "/format: " + format.dump(-1, ' ', false, Json::error_handler_t::replace) +
             " is not supported (known: date, time, date-time, uuid, email, hostname, ipv4, uri)");
    if (found && flat.contains("pattern"))
      refuse(pointer + ": pattern and format at once are not supported");
    if (found) {
      keyword = "format";
      pattern = found;
    }
  }
  if (std::string(keyword) == "pattern" && !flat.contains("pattern"))
    return forms.string(least, most);
  StringPattern parsed;
  try {
    parsed = parsePattern(pattern, forms.characters(0, kUnbounded));
  } catch (const Refusal &refusal) {
    refuse(pointer + "/" + keyword + ": " + refusal.message);
  }
  if (parsed.lengths.least < least)
    refuse(pointer + "/minLength: with a " + keyword + " that allows less is not supported");
  if (most != kUnbounded && parsed.lengths.most > most)
    refuse(pointer + "/maxLength: with a " + keyword + " that allows more is not supported");
  return sequenceOf({textOf("\""), std::move(parsed.body), textOf("\"")});
}

// Rounded to a whole number; nothing for what is beyond all that are written.
static std::optional<WideInteger> wholeOf(const Json &value, bool up) {
  if (value.is_number_unsigned())
    return value.get<uint64_t>();
  if (value.is_number_integer())
    return value.get<int64_t>();
  double rounded = up ? std::ceil(value.get<double>()) : std::floor(value.get<double>());
  if (!(std::fabs(rounded) < 1e30))
    return std::nullopt;
  return static_cast<WideInteger>(rounded);
}

Expression SchemaCompiler::numberBody(const Json &flat, const std::string &pointer,
                                      bool isInteger) {
  WideInteger factor = 0;
  if (flat.contains("multipleOf")) {
    const Json &value = flat["multipleOf"];
    if (!value.is_number() || typeNameOf(value) != "integer" || value < 1 || value > 1e15)
      refuse(pointer + "/multipleOf: expected a whole number from 1 to 1e15; others are not "
                       "supported");
    factor = *wholeOf(value, false);
    isInteger = true;
  }
  IntegerBounds whole;
  std::optional<NumberBound> least, most;
  for (const char *name : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (!flat.contains(name))
      continue;
    const Json &value = flat[name];
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      refuse(pointer + "/" + name + ": expected a number");
    bool isLeast = std::string(name).find("inimum") != std::string::npos;
    bool isExclusive = name[0] == 'e';
    // A bound beyond all that are written says nothing, or leaves nothing.
    auto checkBeyond = [&] {
      if ((value < 0) != isLeast)
        refuse(pointer + "/" + name + ": numbers of more than 18 digits are not supported");
    };
    if (isInteger) {
      std::optional<WideInteger> bound = wholeOf(value, isLeast);
      if (bound && isExclusive && (!value.is_number_float() || typeNameOf(value) == "integer"))
        *bound += isLeast ? 1 : -1;
      if (!bound || *bound > kGreatest || *bound < -kGreatest) {
        checkBeyond();
        continue;
      }
      std::optional<WideInteger> &end = isLeast ? whole.least : whole.most;
      end = !end ? *bound : isLeast ? std::max(*end, *bound) : std::min(*end, *bound);
      continue;
    }
    // Of two bounds the narrower one, and of equal ones the one that excludes.
    std::optional<NumberBound> &end = isLeast ? least : most;
    const char *twin = isLeast ? "minimum" : "maximum";
    if (end && (isLeast ? value < flat[twin] : value > flat[twin]))
      continue;
    std::optional<Decimal> bound = Decimal::parse(value.dump());
    if (!bound && std::fabs(value.get<double>()) < 1e18)
      refuse(pointer + "/" + name + ": " + value.dump() + " has too many digits");
    if (!bound) {
      checkBeyond();
      bound = Decimal{isLeast, std::string(18, '9'), ""};
    }
    end = NumberBound{*bound, isExclusive};
  }
  if (factor > 0) {
    try {
      return multiplesBetween(factor, whole, rules);
    } catch (const Refusal &refusal) {
      refuse(pointer + "/multipleOf: " + refusal.message);
    }
  }
  return isInteger ? integersBetween(whole) : numbersBetween(least, most);
}

//===----------------------------------------------------------------------===//
// From outside
//===----------------------------------------------------------------------===//

// Nothing recurses over it before this has been asked.
size_t depthOf(const Json &json) {
  size_t deepest = 0;
  std::vector<std::pair<const Json *, size_t>> work = {{&json, 1}};
  while (!work.empty()) {
    auto [at, depth] = work.back();
    work.pop_back();
    deepest = std::max(deepest, depth);
    for (const Json &each : *at)
      if (each.is_structured())
        work.push_back({&each, depth + 1});
  }
  return deepest;
}

} // namespace

Result<std::shared_ptr<const Grammar>> fromSchema(const Json &schema) {
  try {
    if (schema.is_structured() && depthOf(schema) > kDeepest)
      refuse("schema: nested more than " + std::to_string(kDeepest) + " deep");
    return SchemaCompiler(schema).compile(schema, "#");
  } catch (const Refusal &refusal) {
    return Status::error(refusal.message);
  }
}

Result<std::shared_ptr<const Grammar>> fromSchemaText(std::string_view text) {
  if (text.size() > kMostText)
    return Status::error("schema: longer than " + std::to_string(kMostText) + " bytes");
  if (jsonDepth(text) > kDeepest)
    return Status::error("schema: nested more than " + std::to_string(kDeepest) + " deep");
  Json schema = Json::parse(text, nullptr, false);
  if (schema.is_discarded())
    return Status::error("schema: this is not JSON");
  return fromSchema(schema);
}

std::shared_ptr<const Grammar> anyObject() {
  Rules rules;
  rules.add("JSON");
  rules.rules[0].body = JsonForms(rules).object();
  return *Grammar::compile(rules);
}

} // namespace pianola::grammar
