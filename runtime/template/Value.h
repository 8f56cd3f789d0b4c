// Value.h - what a template computes with: Python's values, as far as templates see them.
#ifndef PIANOLA_RUNTIME_TEMPLATE_VALUE_H
#define PIANOLA_RUNTIME_TEMPLATE_VALUE_H

#include "runtime/template/Failure.h"
#include "runtime/template/Text.h"

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>

namespace pianola::templates {

class Value;
class Interpreter;

/// Of integers; what does not fit is an error.
using Integer = __int128;

/// A name or member that is not there. Printing it gives nothing; using it fails with `message`.
struct Undefined {
  std::string message;
  FailureKind kind = FailureKind::Undefined;
};

struct None {};

/// A text; `isSafe`: marked as needing no escapes.
struct String {
  std::shared_ptr<const Text> text;
  bool isSafe = false;
};

/// How far what goes through all of a value goes. Values that are there several times count as
/// often: a few lists that hold each other twice would take forever to print.
struct Extent {
  uint32_t depth = 0;
  uint64_t values = 1;
};

using Items = std::vector<Value>;
struct List {
  std::shared_ptr<const Items> items;
  Extent extent;
};
struct Tuple {
  std::shared_ptr<const Items> items;
  Extent extent;
};

using Entry = std::pair<Value, Value>;
struct Dict {
  std::shared_ptr<const std::vector<Entry>> entries;
  Extent extent;
  const Value *find(const Value &key) const;
};
/// keys(), values() or items() of a dict.
struct View {
  Dict dict;
  enum Kind { Keys, Values, Items } kind;
};

struct Range {
  Integer begin, end, step;
  Integer size() const;
};

/// What can be gone through once.
struct Iterator {
  std::shared_ptr<const Items> items;
  std::shared_ptr<size_t> next;
  Extent extent;
};

/// namespace(): the one value that templates change.
struct Namespace {
  std::shared_ptr<std::vector<std::pair<std::string, Value>>> members;
};

struct Arguments {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  std::function<Value(Interpreter &, Arguments)> call;
  std::function<Value(const std::string &)> member; // of the object; null: none
};
using Function = std::shared_ptr<const Callable>;

class Value {
public:
  using Variant = std::variant<Undefined, None, bool, Integer, double, String, List, Tuple, Dict,
                               View, Range, Iterator, Namespace, Function>;
  Value() : content(None()) {}
  template <typename T, typename = std::enable_if_t<std::is_constructible_v<
                            Variant, std::in_place_type_t<std::decay_t<T>>, T>>>
  Value(T &&value) : content(std::in_place_type<std::decay_t<T>>, std::forward<T>(value)) {}
  Value(Text text) : content(String{std::make_shared<Text>(std::move(text))}) {}
  Value(std::string text) : Value(Text(std::move(text))) {}
  Value(const char *text) : Value(Text(text)) {}
  static Value integer(Integer value) { return Value(value); }
  /// These fail if the value would be too deep or hold too many.
  static Value list(Items items);
  static Value tuple(Items items);
  static Value dict(std::vector<Entry> entries);
  static Value iterator(Items items);
  static Value undefined(std::string message) { return Undefined{std::move(message)}; }
  /// Texts of it are data if `isData`.
  static Value fromJson(const nlohmann::ordered_json &json, bool isData);

  template <typename T> const T *as() const { return std::get_if<T>(&content); }
  template <typename T> bool is() const { return std::holds_alternative<T>(content); }
  const Text *text() const { return is<String>() ? as<String>()->text.get() : nullptr; }
  /// Of a list or a tuple.
  const Items *items() const;
  /// An integer, as which true and false count, too.
  std::optional<Integer> asInteger() const;
  /// Any number.
  std::optional<double> asNumber() const;

  /// Python's name of the type.
  const char *typeName() const;
  bool isTrue() const;
  bool isHashable() const;

  /// str() and repr().
  Text str() const;
  Text repr() const;

private:
  Extent extent() const;
  static Extent extentOf(const Items &items);
  void addRepr(Text &to, size_t depth) const;
  Variant content;
};

/// ==
bool equal(const Value &a, const Value &b);
/// < 0, 0, > 0. Fails for what cannot be ordered; `sign` is the operator of the message.
int compare(const Value &a, const Value &b, const char *sign = "<");
/// len(). Fails for what has none.
size_t length(const Value &value);
/// The values that a loop over it sees. Fails for what cannot be gone through.
Items iterate(const Value &value);

/// Python's repr of a number.
std::string formatInteger(Integer value);
std::string formatFloat(double value);

/// Integers from a text as int() takes them; nothing if it is none.
std::optional<Integer> parseInteger(std::string_view text, int base = 10);
std::optional<double> parseFloat(std::string_view text);

} // namespace pianola::templates

#endif
