// Tests.cpp - what stands after `is`.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <unordered_map>

namespace pianola::templates {

// The one argument of a test.
static const Value &other(const Arguments &arguments) {
  if (arguments.positional.size() != 1 || !arguments.named.empty())
    fail("the test takes one argument");
  return arguments.positional[0];
}

static Integer integerOf(const Value &value) {
  if (const Undefined *undefined = value.as<Undefined>())
    failUndefined(*undefined);
  std::optional<Integer> integer = value.asInteger();
  if (!integer)
    fail("expected a number, found " + std::string(value.typeName()));
  return *integer;
}

template <int Least, int Greatest>
static bool ordered(Interpreter &, const Value &self, const Arguments &arguments) {
  int order = compare(self, other(arguments));
  return order >= Least && order <= Greatest;
}

static bool isEqual(Interpreter &, const Value &self, const Arguments &arguments) {
  return equal(self, other(arguments));
}

static bool isUnequal(Interpreter &, const Value &self, const Arguments &arguments) {
  return !equal(self, other(arguments));
}

template <typename... Types>
static bool isOneOf(Interpreter &, const Value &self, const Arguments &) {
  return (self.is<Types>() || ...);
}

static bool isSame(Interpreter &, const Value &self, const Arguments &arguments) {
  const Value &value = other(arguments);
  return std::string(self.typeName()) == value.typeName() && equal(self, value);
}

// Whether a text has letters, and none of the other case.
static bool hasCase(const Value &self, std::string (*convert)(std::string_view),
                    std::string (*opposite)(std::string_view)) {
  std::string text = self.str().bytes();
  return convert(text) == text && opposite(text) != text;
}

TestFunction findTest(const std::string &name) {
  static const std::unordered_map<std::string, TestFunction> kTests = {
      {"defined",
       [](Interpreter &, const Value &self, const Arguments &) { return !self.is<Undefined>(); }},
      {"undefined", isOneOf<Undefined>},
      {"none", isOneOf<None>},
      {"boolean", isOneOf<bool>},
      {"true", [](Interpreter &, const Value &self,
                  const Arguments &) { return self.is<bool>() && self.isTrue(); }},
      {"false", [](Interpreter &, const Value &self,
                   const Arguments &) { return self.is<bool>() && !self.isTrue(); }},
      {"integer", isOneOf<Integer>},
      {"float", isOneOf<double>},
      {"number", isOneOf<bool, Integer, double>},
      {"string", isOneOf<String>},
      {"mapping", isOneOf<Dict>},
      {"iterable", isOneOf<Undefined, String, List, Tuple, Dict, View, Range, Iterator>},
      {"sequence", isOneOf<Undefined, String, List, Tuple, Dict, Range>},
      {"callable", isOneOf<Function>},
      {"escaped", [](Interpreter &, const Value &self,
                     const Arguments &) { return self.is<String>() && self.as<String>()->isSafe; }},
      {"in", [](Interpreter &, const Value &self,
                const Arguments &arguments) { return contains(other(arguments), self); }},
      {"odd", [](Interpreter &, const Value &self,
                 const Arguments &) { return integerOf(self) % 2 != 0; }},
      {"even", [](Interpreter &, const Value &self,
                  const Arguments &) { return integerOf(self) % 2 == 0; }},
      {"divisibleby",
       [](Interpreter &, const Value &self, const Arguments &arguments) {
         Integer by = integerOf(other(arguments));
         if (by == 0)
           fail("integer modulo by zero");
         return integerOf(self) % by == 0;
       }},
      {"lower", [](Interpreter &, const Value &self,
                   const Arguments &) { return hasCase(self, lower, upper); }},
      {"upper", [](Interpreter &, const Value &self,
                   const Arguments &) { return hasCase(self, upper, lower); }},
      {"sameas", isSame},
      {"filter", [](Interpreter &, const Value &self,
                    const Arguments &) { return findFilter(self.str().bytes()) != nullptr; }},
      {"test", [](Interpreter &, const Value &self,
                  const Arguments &) { return findTest(self.str().bytes()) != nullptr; }},
      {"eq", isEqual},
      {"equalto", isEqual},
      {"==", isEqual},
      {"ne", isUnequal},
      {"!=", isUnequal},
      {"lt", ordered<-1, -1>},
      {"lessthan", ordered<-1, -1>},
      {"<", ordered<-1, -1>},
      {"le", ordered<-1, 0>},
      {"<=", ordered<-1, 0>},
      {"gt", ordered<1, 1>},
      {"greaterthan", ordered<1, 1>},
      {">", ordered<1, 1>},
      {"ge", ordered<0, 1>},
      {">=", ordered<0, 1>},
  };
  auto found = kTests.find(name);
  return found == kTests.end() ? nullptr : found->second;
}

} // namespace pianola::templates
