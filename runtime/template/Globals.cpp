// Globals.cpp - the functions that every template has.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <unordered_map>
#include <utility>

namespace pianola::templates {

namespace {

using Call = Value (*)(Interpreter &, Arguments);

Value range(Interpreter &, Arguments given) {
  Bound bound("range", given, {"start", "stop", "step"});
  bound.required(0);
  Range result{0, bound.integer(0, 0), 1};
  if (bound[1])
    result = {bound.integer(0, 0), bound.integer(1, 0), bound.integer(2, 1)};
  if (result.step == 0)
    fail("range() arg 3 must not be zero");
  constexpr Integer kFarthest = Integer(1) << 64; // differences are numbers, too
  for (Integer bound : {result.begin, result.end, result.step})
    if (bound < -kFarthest || bound > kFarthest)
      fail("range() is supported up to 2**64", FailureKind::Limit);
  constexpr Integer kLongest = 100000; // Jinja's sandbox
  if (result.size() > kLongest)
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  return result;
}

// Of an optional mapping, and of names.
std::vector<Entry> entriesOf(const char *function, const Arguments &given) {
  std::vector<Entry> entries;
  auto put = [&](const Value &key, const Value &value) {
    for (Entry &entry : entries)
      if (equal(entry.first, key)) {
        entry.second = value;
        return;
      }
    entries.emplace_back(key, value);
  };
  if (given.positional.size() > 1)
    fail(std::string(function) + " expected at most 1 argument, got " +
         std::to_string(given.positional.size()));
  for (const Value &from : given.positional) {
    if (const Dict *dict = from.as<Dict>()) {
      for (const auto &[key, value] : *dict->entries)
        put(key, value);
      continue;
    }
    for (const Value &pair : iterate(from)) {
      Items both = iterate(pair);
      if (both.size() != 2 || !both[0].isHashable())
        fail(std::string(function) + " takes a mapping, or pairs");
      put(both[0], both[1]);
    }
  }
  for (const auto &[name, value] : given.named)
    put(name, value);
  return entries;
}

Value dict(Interpreter &, Arguments given) { return Value::dict(entriesOf("dict", given)); }

Value makeNamespace(Interpreter &interpreter, Arguments given) {
  Namespace space{std::make_shared<std::vector<std::pair<std::string, Value>>>()};
  for (auto &[key, value] : entriesOf("namespace", given)) {
    std::string name = key.str().bytes();
    if (name.empty() || name[0] == '_')
      fail("names in a namespace must not begin with an underscore", FailureKind::Security);
    space.members->emplace_back(std::move(name), std::move(value));
  }
  interpreter.keep(space);
  return space;
}

Value raise(Interpreter &, Arguments given) {
  Bound bound("raise_exception", given, {"message"});
  fail(bound.required(0).str().bytes(), FailureKind::Raised);
}

Value timeNow(Interpreter &interpreter, Arguments given) {
  Bound bound("strftime_now", given, {"format"});
  bound.required(0);
  std::string format = bound.text(0, "").bytes(), result;
  if (format.empty())
    return "";
  if (format.size() > 1000)
    fail("a format of more than 1000 bytes", FailureKind::Limit);
  // A widest field, %c, takes some 30 bytes.
  result.resize(16 * format.size() + 64);
  result.resize(std::strftime(result.data(), result.size(), format.c_str(), &interpreter.clock()));
  return result;
}

Value method(std::string name, std::function<Value(Interpreter &, Arguments)> call) {
  auto function = std::make_shared<Callable>();
  function->name = std::move(name);
  function->call = std::move(call);
  return Function(function);
}

Value joiner(Interpreter &, Arguments given) {
  Bound bound("joiner", given, {"sep"});
  Value separator = bound[0] ? *bound[0] : Value(", ");
  auto isUsed = std::make_shared<bool>(false);
  return method("joiner", [=](Interpreter &, Arguments) -> Value {
    return std::exchange(*isUsed, true) ? separator : Value("");
  });
}

Value cycler(Interpreter &, Arguments given) {
  if (given.positional.empty())
    fail("at least one item has to be provided");
  auto items = std::make_shared<const Items>(given.positional);
  auto at = std::make_shared<size_t>(0);
  auto object = std::make_shared<Callable>();
  object->name = "cycler";
  object->member = [=](const std::string &name) -> Value {
    if (name == "current")
      return (*items)[*at];
    if (name == "next")
      return method(name, [=](Interpreter &, Arguments) -> Value {
        size_t now = *at;
        *at = (now + 1) % items->size();
        return (*items)[now];
      });
    if (name == "reset")
      return method(name, [=](Interpreter &, Arguments) -> Value {
        *at = 0;
        return None();
      });
    return Value::undefined("'cycler' has no attribute '" + name + "'");
  };
  return Function(object);
}

} // namespace

std::optional<Value> findGlobal(const std::string &name) {
  static const std::unordered_map<std::string, Call> kFunctions = {
      {"range", range},
      {"dict", dict},
      {"namespace", makeNamespace},
      {"raise_exception", raise},
      {"strftime_now", timeNow},
      {"joiner", joiner},
      {"cycler", cycler},
  };
  auto found = kFunctions.find(name);
  return found == kFunctions.end() ? std::nullopt
                                   : std::optional<Value>(method(name, found->second));
}

} // namespace pianola::templates
