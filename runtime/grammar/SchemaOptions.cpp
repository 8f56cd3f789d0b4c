// SchemaOptions.cpp - the options of anyOf and oneOf.
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/SchemaParts.h"

#include <algorithm>

namespace pianola::grammar {

// If no value that is written for one flat schema is one that the other holds for. May say no where
// it is so.
bool SchemaParts::excludes(const Json &written, const Json &other, const std::string &pointer,
                           int depth) {
  std::set<std::string> both = common(writtenTypesOf(written, pointer), typesOf(other, pointer));
  if (both.empty())
    return true;
  if (depth > 4)
    return false;
  if (written.contains("enum")) {
    const Json *values = find(other, "enum");
    return values &&
           std::none_of(written["enum"].begin(), written["enum"].end(), [&](const Json &value) {
             checkTime(pointer);
             return hasEqual(*values, value);
           });
  }
  if (both != std::set<std::string>{"object"})
    return false;
  static const Json kNone = Json::object();
  const Json &mine = written.contains("properties") ? written["properties"] : kNone;
  const Json &others = other.contains("properties") ? other["properties"] : kNone;
  const Json *additional = find(other, "additionalProperties");
  // A property that is always there, and never of the other's.
  if (const Json *required = find(written, "required"))
    for (const Json &each : *required) {
      if (!each.is_string())
        continue;
      std::string name = each;
      if (!others.contains(name) && additional && *additional == false)
        return true;
      if (!mine.contains(name) || !others.contains(name))
        continue;
      bool all = true;
      for (const Json &a : flatten(mine[name], pointer + "/" + pointerPart(name), depth + 1))
        for (const Json &b : flatten(others[name], pointer + "/" + pointerPart(name), depth + 1))
          all = all && excludes(a, b, pointer, depth + 1);
      if (all)
        return true;
    }
  // Or one that the other wants, and that is never written.
  static const Json kNoNames = Json::array();
  const Json *mineRequired = find(written, "required");
  const Json &always = mineRequired ? *mineRequired : kNoNames;
  if (const Json *required = find(other, "required"))
    for (const Json &each : *required)
      if (each.is_string() && !mine.contains(each.get<std::string>()) &&
          std::find(always.begin(), always.end(), each) == always.end() &&
          (written.contains("additionalProperties") ? written["additionalProperties"] == false
                                                    : written.contains("properties")))
        return true;
  return false;
}

const Json &SchemaParts::options(const Json &schema, const char *keyword,
                                 const std::string &pointer, int depth) {
  const Json &list = schema[keyword];
  std::string here = pointer + "/" + keyword;
  if (!list.is_array() || list.empty())
    refuse(here + ": expected a list of schemas");
  if (std::string(keyword) != "oneOf" || list.size() == 1 || isComparing)
    return list;
  std::vector<std::vector<Json>> all;
  for (size_t i = 0; i < list.size(); ++i)
    all.push_back(flatten(list[i], here + "/" + std::to_string(i), depth + 1));
  // While options are compared, those of options need not be.
  isComparing = true;
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = 0; j < all.size(); ++j)
      for (const Json &a : all[i])
        for (const Json &b : all[j])
          if (i != j && !excludes(a, b, here, 0))
            refuse(here + ": options " + std::to_string(std::min(i, j)) + " and " +
                   std::to_string(std::max(i, j)) +
                   " may hold for the same value; tell them apart by types or by a required "
                   "property with different constants, or use anyOf");
  isComparing = false;
  return list;
}

} // namespace pianola::grammar
