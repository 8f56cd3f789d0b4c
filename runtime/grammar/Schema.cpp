// Schema.cpp - JSON Schema to grammars.
#include "runtime/grammar/Schema.h"

#include "runtime/JsonShape.h"
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/SchemaCompiler.h"

namespace pianola::grammar {

static constexpr size_t kMostText = 1 << 19, kMostSchemas = 50000, kDeepest = 100;

Expression SchemaCompiler::add(const Json &schema, const std::string &pointer) {
  Expression root = ruleFor(schema, pointer);
  // Schemas are not compiled within each other: references may go around in circles.
  for (size_t i = 0; i < waiting.size(); ++i) {
    Waiting next = std::move(waiting[i]);
    rules.rules[next.rule].body = bodyOf(next.schema, next.pointer);
  }
  return root;
}

Expression SchemaCompiler::ruleFor(const Json &schema, const std::string &pointer) {
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
        Rules apart;
        SchemaCompiler(document, apart).add(rest, pointer);
        Result<std::shared_ptr<const Grammar>> compiled = Grammar::compile(apart);
        if (!compiled)
          refuse(compiled.message());
        others = *compiled;
      }
      if (!matches(others, text))
        continue;
    }
    ways.push_back(textOf(std::move(text)));
  }
  return choiceOf(std::move(ways));
}

//===----------------------------------------------------------------------===//
// From outside
//===----------------------------------------------------------------------===//

// Nothing recurses over it before this has been asked.
static size_t depthOf(const Json &json) {
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

Result<Expression> addSchema(Rules &rules, const Json &schema) {
  try {
    if (schema.is_structured() && depthOf(schema) > kDeepest)
      refuse("schema: nested more than " + std::to_string(kDeepest) + " deep");
    return SchemaCompiler(schema, rules).add(schema, "#");
  } catch (const Refusal &refusal) {
    return Status::error(refusal.message);
  }
}

Result<std::shared_ptr<const Grammar>> fromSchema(const Json &schema) {
  Rules rules;
  Result<Expression> root = addSchema(rules, schema); // the first of the rules
  return root ? Grammar::compile(rules) : root.status();
}

Result<std::shared_ptr<const Grammar>> fromSchemaText(std::string_view text) {
  if (text.size() > kMostText)
    return Status::error("schema: longer than " + std::to_string(kMostText) + " bytes");
  if (jsonShape(text).depth > kDeepest)
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
