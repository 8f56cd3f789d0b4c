// SchemaContainers.cpp - objects and arrays, and what is counted.
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/SchemaCompiler.h"

namespace pianola::grammar {

static constexpr size_t kLongestName = 256, kMostPrefixItems = 500;

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

} // namespace pianola::grammar
