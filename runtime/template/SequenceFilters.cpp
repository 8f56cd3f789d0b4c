// SequenceFilters.cpp - filters of lists and dicts.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <algorithm>
#include <list>
#include <unordered_map>
#include <utility>

namespace pianola::templates {

namespace {

Items itemsOf(Interpreter &interpreter, const Value &value) {
  if (const Text *text = value.text())
    interpreter.charge(16 * text->size());
  Items items = iterate(value);
  interpreter.charge(16 * items.size());
  return items;
}

// "a.b.0", or an index: what map, sort and the like look at.
Value memberOf(const Interpreter &interpreter, Value item, const Value &attribute,
               const Value *otherwise = nullptr) {
  auto orDefault = [&](Value found) {
    return found.is<Undefined>() && otherwise ? *otherwise : found;
  };
  if (!attribute.text())
    return orDefault(interpreter.item(item, attribute));
  std::string_view path = attribute.text()->bytes();
  for (;;) {
    size_t dot = path.find('.');
    std::string_view name = path.substr(0, dot);
    bool isIndex = !name.empty() && std::all_of(name.begin(), name.end(),
                                                [](char c) { return c >= '0' && c <= '9'; });
    Value key = isIndex ? Value::integer(parseInteger(name).value_or(0)) : Value(std::string(name));
    item = orDefault(interpreter.item(item, key));
    if (dot == std::string_view::npos)
      return item;
    path.remove_prefix(dot + 1);
  }
}

bool isGiven(const Value *value) { return value && !value->is<None>(); }

// What items are compared by: their attributes, without regard to case unless that is wanted.
class Key {
public:
  Key(const Interpreter &interpreter, const Value *attribute, bool caseSensitive)
      : interpreter(interpreter), attribute(isGiven(attribute) ? attribute : nullptr),
        caseSensitive(caseSensitive) {}

  Value of(const Value &item) const {
    return ofCase(attribute ? memberOf(interpreter, item, *attribute) : item);
  }
  /// Of several attributes with commas between.
  Value ofAll(const Value &item) const {
    if (!attribute || !attribute->text() ||
        attribute->text()->bytes().find(',') == std::string::npos)
      return of(item);
    Items keys;
    std::string_view rest = attribute->text()->bytes();
    for (size_t comma = 0; comma != std::string_view::npos;) {
      comma = rest.find(',');
      keys.push_back(ofCase(memberOf(interpreter, item, std::string(rest.substr(0, comma)))));
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
    return Value::tuple(std::move(keys));
  }

private:
  Value ofCase(Value value) const {
    if (const Text *text = caseSensitive ? nullptr : value.text())
      return text->became(lower(text->bytes()));
    return value;
  }
  const Interpreter &interpreter;
  const Value *attribute;
  bool caseSensitive;
};

// A list, whose sort is stable, and safe even where a comparison fails or contradicts others.
using KeyedItems = std::list<std::pair<Value, Value>>;

KeyedItems withKeys(const Items &items, const Key &key) {
  KeyedItems result;
  for (const Value &item : items)
    result.emplace_back(key.ofAll(item), item);
  return result;
}

void sortByKey(Interpreter &interpreter, KeyedItems &items, bool isReverse) {
  items.sort([&](const auto &a, const auto &b) {
    interpreter.charge();
    // Python asks whether the later is less than the earlier.
    return isReverse ? compare(b.first, a.first) < 0 : compare(a.first, b.first) < 0;
  });
}

Value len(Interpreter &, const Value &self, const Arguments &given) {
  Bound("length", given, {});
  return Value::integer(static_cast<Integer>(length(self)));
}

Value join(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("join", given, {"d", "attribute"});
  Text between = bound[0] ? bound[0]->str() : Text(), result;
  bool isFirst = true;
  for (const Value &item : itemsOf(interpreter, self)) {
    if (!isFirst)
      result.append(between);
    isFirst = false;
    Text text = (isGiven(bound[1]) ? memberOf(interpreter, item, *bound[1]) : item).str();
    result.append(text);
    interpreter.chargeText(text.size() + between.size());
  }
  interpreter.chargeText(result.size());
  return result;
}

Value first(Interpreter &, const Value &self, const Arguments &given) {
  Bound("first", given, {});
  if (const Iterator *iterator = self.as<Iterator>())
    return *iterator->next < iterator->items->size()
               ? (*iterator->items)[(*iterator->next)++]
               : Value::undefined("No first item, sequence was empty.");
  Items items = iterate(self);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last(Interpreter &, const Value &self, const Arguments &given) {
  Bound("last", given, {});
  if (self.is<Iterator>())
    fail("'generator' object is not reversible");
  Items items = iterate(self);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value list(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound("list", given, {});
  return Value::list(itemsOf(interpreter, self));
}

Value reverse(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound("reverse", given, {});
  Items items = itemsOf(interpreter, self);
  std::reverse(items.begin(), items.end());
  if (!self.text())
    return Value::iterator(std::move(items));
  Text result;
  for (const Value &item : items)
    result.append(*item.text());
  return result;
}

Value sort(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("sort", given, {"reverse", "case_sensitive", "attribute"});
  Key key(interpreter, bound[2], bound.isTrue(1, false));
  auto items = withKeys(itemsOf(interpreter, self), key);
  sortByKey(interpreter, items, bound.isTrue(0, false));
  Items result;
  for (auto &[by, item] : items)
    result.push_back(std::move(item));
  return Value::list(std::move(result));
}

Value unique(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("unique", given, {"case_sensitive", "attribute"});
  Key key(interpreter, bound[1], bound.isTrue(0, false));
  Items seen, result;
  for (const Value &item : itemsOf(interpreter, self)) {
    Value by = key.of(item);
    interpreter.charge(seen.size());
    if (std::any_of(seen.begin(), seen.end(), [&](const Value &old) { return equal(old, by); }))
      continue;
    seen.push_back(std::move(by));
    result.push_back(item);
  }
  return Value::iterator(std::move(result));
}

// The first of the least (sign < 0) or greatest.
Value extreme(Interpreter &interpreter, const Value &self, const Arguments &given, const char *name,
              int sign) {
  Bound bound(name, given, {"case_sensitive", "attribute"});
  Key key(interpreter, bound[1], bound.isTrue(0, false));
  std::optional<std::pair<Value, Value>> best;
  for (const Value &item : itemsOf(interpreter, self)) {
    Value by = key.of(item);
    if (!best || compare(by, best->first, sign < 0 ? "<" : ">") * sign > 0)
      best.emplace(std::move(by), item);
  }
  return best ? best->second : Value::undefined("No aggregated item, sequence was empty.");
}

Value least(Interpreter &interpreter, const Value &self, const Arguments &given) {
  return extreme(interpreter, self, given, "min", -1);
}

Value greatest(Interpreter &interpreter, const Value &self, const Arguments &given) {
  return extreme(interpreter, self, given, "max", 1);
}

Value sum(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("sum", given, {"attribute", "start"});
  Value total = bound[1] ? *bound[1] : Value::integer(0);
  for (const Value &item : itemsOf(interpreter, self))
    total = binary(interpreter, "+", total,
                   isGiven(bound[0]) ? memberOf(interpreter, item, *bound[0]) : item);
  return total;
}

// The arguments from `from` on.
Arguments rest(const Arguments &given, size_t from) {
  Arguments result;
  result.positional.assign(given.positional.begin() + static_cast<ptrdiff_t>(from),
                           given.positional.end());
  result.named = given.named;
  return result;
}

Value map(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Items result;
  if (given.positional.empty()) {
    const Value *attribute = nullptr, *otherwise = nullptr;
    for (const auto &[name, value] : given.named)
      if (name == "attribute")
        attribute = &value;
      else if (name == "default")
        otherwise = &value;
      else
        fail("Unexpected keyword argument '" + name + "'");
    if (!attribute)
      fail("map requires a filter argument");
    for (const Value &item : itemsOf(interpreter, self))
      result.push_back(memberOf(interpreter, item, *attribute, otherwise));
  } else {
    std::string name = given.positional[0].str().bytes();
    Arguments arguments = rest(given, 1);
    for (const Value &item : itemsOf(interpreter, self))
      result.push_back(interpreter.filter(name, item, arguments));
  }
  return Value::iterator(std::move(result));
}

// select, reject, selectattr and rejectattr: items of which a test, or truth, is `wanted`.
Value choose(Interpreter &interpreter, const Value &self, const Arguments &given, bool byAttribute,
             bool wanted) {
  size_t from = byAttribute ? 1 : 0;
  if (given.positional.size() < from)
    fail("Missing parameter for attribute name");
  bool hasTest = given.positional.size() > from;
  Arguments arguments = rest(given, from + (hasTest ? 1 : 0));
  std::string name = hasTest ? given.positional[from].str().bytes() : std::string();
  Items result;
  for (const Value &item : itemsOf(interpreter, self)) {
    Value subject = byAttribute ? memberOf(interpreter, item, given.positional[0]) : item;
    bool holds = hasTest ? interpreter.test(name, subject, arguments) : subject.isTrue();
    if (holds == wanted)
      result.push_back(item);
  }
  return Value::iterator(std::move(result));
}

template <bool ByAttribute, bool Wanted>
Value chosen(Interpreter &interpreter, const Value &self, const Arguments &given) {
  return choose(interpreter, self, given, ByAttribute, Wanted);
}

Value pairs(Interpreter &, const Value &self, const Arguments &given) {
  Bound("items", given, {});
  if (self.is<Undefined>())
    return Value::iterator({});
  const Dict *dict = self.as<Dict>();
  if (!dict)
    fail("Can only get item pairs from a mapping.");
  return Value::iterator(iterate(View{*dict, View::Items}));
}

Value dictSort(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("dictsort", given, {"case_sensitive", "by", "reverse"});
  std::string by = bound.text(1, "key").bytes();
  if (by != "key" && by != "value")
    fail("You can only sort by either \"key\" or \"value\"");
  if (const Undefined *undefined = self.as<Undefined>())
    failUndefined(*undefined);
  const Dict *dict = self.as<Dict>();
  if (!dict)
    fail("'" + std::string(self.typeName()) + " object' has no attribute 'items'");
  Value at = Value::integer(by == "value");
  Key key(interpreter, &at, bound.isTrue(0, false));
  auto items = withKeys(iterate(View{*dict, View::Items}), key);
  sortByKey(interpreter, items, bound.isTrue(2, false));
  Items result;
  for (auto &[sortedBy, item] : items)
    result.push_back(std::move(item));
  return Value::list(std::move(result));
}

Value orDefault(Interpreter &, const Value &self, const Arguments &given) {
  Bound bound("default", given, {"default_value", "boolean"});
  bool isMissing = self.is<Undefined>() || (bound.isTrue(1, false) && !self.isTrue());
  return !isMissing ? self : bound[0] ? *bound[0] : Value("");
}

Value attr(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("attr", given, {"name"});
  std::string name = bound.required(0).str().bytes();
  // Members of dicts are no attributes.
  return self.is<Dict>() && !findMethod(self, name)
             ? Value::undefined("'dict object' has no attribute '" + name + "'")
             : interpreter.attribute(self, name);
}

Value batch(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("batch", given, {"linecount", "fill_with"});
  Integer size = (bound.required(0), bound.integer(0, 1));
  if (size < 1)
    fail("batch() takes a positive number");
  Items rows, row;
  for (const Value &item : itemsOf(interpreter, self)) {
    if (static_cast<Integer>(row.size()) == size)
      rows.push_back(Value::list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (isGiven(bound[1]))
      for (; static_cast<Integer>(row.size()) < size; interpreter.charge())
        row.push_back(*bound[1]);
    rows.push_back(Value::list(std::move(row)));
  }
  return Value::iterator(std::move(rows));
}

Value groupBy(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("groupby", given, {"attribute", "default", "case_sensitive"});
  const Value &attribute = bound.required(0);
  const Value *otherwise = isGiven(bound[1]) ? bound[1] : nullptr;
  KeyedItems items;
  for (const Value &item : itemsOf(interpreter, self)) {
    Value key = memberOf(interpreter, item, attribute, otherwise);
    if (const Text *text = bound.isTrue(2, false) ? nullptr : key.text())
      key = text->became(lower(text->bytes()));
    items.emplace_back(std::move(key), item);
  }
  sortByKey(interpreter, items, false);
  Items groups;
  for (auto at = items.begin(); at != items.end();) {
    Items members;
    auto end = at;
    for (; end != items.end() && equal(end->first, at->first); ++end)
      members.push_back(end->second);
    Value name = memberOf(interpreter, members[0], attribute, otherwise);
    groups.push_back(Value::tuple({std::move(name), Value::list(std::move(members))}));
    at = end;
  }
  return Value::list(std::move(groups));
}

} // namespace

FilterFunction findSequenceFilter(const std::string &name) {
  static const std::unordered_map<std::string, FilterFunction> kFilters = {
      {"length", len},
      {"count", len},
      {"join", join},
      {"first", first},
      {"last", last},
      {"list", list},
      {"reverse", reverse},
      {"sort", sort},
      {"unique", unique},
      {"min", least},
      {"max", greatest},
      {"sum", sum},
      {"map", map},
      {"select", chosen<false, true>},
      {"reject", chosen<false, false>},
      {"selectattr", chosen<true, true>},
      {"rejectattr", chosen<true, false>},
      {"items", pairs},
      {"dictsort", dictSort},
      {"default", orDefault},
      {"d", orDefault},
      {"attr", attr},
      {"batch", batch},
      {"groupby", groupBy},
  };
  auto found = kFilters.find(name);
  return found == kFilters.end() ? nullptr : found->second;
}

} // namespace pianola::templates
