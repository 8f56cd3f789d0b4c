// Methods.cpp - methods of lists, dicts and numbers.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <algorithm>
#include <cstring>

namespace pianola::templates {

static Value callable(std::string name, std::function<Value(Interpreter &, Arguments)> call) {
  auto function = std::make_shared<Callable>();
  function->name = std::move(name);
  function->call = std::move(call);
  return Function(function);
}

static std::optional<Value> findDictMethod(const Dict &dict, const std::string &name) {
  auto view = [&](View::Kind kind) {
    return callable(name, [=](Interpreter &, Arguments given) -> Value {
      Bound(name, given, {});
      return View{dict, kind};
    });
  };
  if (name == "items")
    return view(View::Items);
  if (name == "keys")
    return view(View::Keys);
  if (name == "values")
    return view(View::Values);
  if (name == "copy")
    return callable(name, [=](Interpreter &, Arguments) -> Value { return dict; });
  if (name == "get")
    return callable(name, [=](Interpreter &, Arguments given) -> Value {
      Bound bound("get", given, {"key", "default"});
      const Value &key = bound.required(0);
      if (!key.isHashable())
        fail("unhashable type: '" + std::string(key.typeName()) + "'");
      const Value *found = dict.find(key);
      return found ? *found : bound[1] ? *bound[1] : Value();
    });
  return std::nullopt;
}

static std::optional<Value> findListMethod(const Value &self, const std::string &name) {
  if (name == "copy" && self.is<List>())
    return callable(name, [=](Interpreter &, Arguments) { return self; });
  if (name == "count" || name == "index")
    return callable(name, [=](Interpreter &, Arguments given) -> Value {
      Bound bound(name, given, {"value"});
      const Items &items = *self.items();
      auto matches = [&](const Value &item) { return equal(item, bound.required(0)); };
      if (name == "count")
        return Value::integer(std::count_if(items.begin(), items.end(), matches));
      auto found = std::find_if(items.begin(), items.end(), matches);
      if (found == items.end())
        fail(bound.required(0).repr().bytes() + " is not in list");
      return Value::integer(found - items.begin());
    });
  return std::nullopt;
}

// Methods that change their object, which templates must not (Jinja's
// ImmutableSandboxedEnvironment).
static bool changesIt(const Value &self, const std::string &name) {
  static const char *const kOfLists[] = {"append", "clear",  "extend",  "insert",
                                         "pop",    "remove", "reverse", "sort"};
  static const char *const kOfDicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
  auto is = [&](const char *known) { return name == known; };
  if (self.is<List>())
    return std::any_of(std::begin(kOfLists), std::end(kOfLists), is);
  return self.is<Dict>() && std::any_of(std::begin(kOfDicts), std::end(kOfDicts), is);
}

std::optional<Value> findMethod(const Value &self, const std::string &name) {
  // Python's inner names are there for all, and for no template.
  bool isInner = name.size() > 4 && name.compare(0, 2, "__") == 0 &&
                 name.compare(name.size() - 2, 2, "__") == 0;
  if (isInner || changesIt(self, name))
    return Value(Undefined{"access to attribute '" + name + "' of '" + self.typeName() +
                               "' object is unsafe.",
                           FailureKind::Security});
  if (const String *text = self.as<String>())
    return findTextMethod(*text, name);
  if (const Dict *dict = self.as<Dict>())
    return findDictMethod(*dict, name);
  if (self.items())
    return findListMethod(self, name);
  return std::nullopt;
}

} // namespace pianola::templates
