// Filters.h - what stands after | and `is`, and the methods of values.
#ifndef PIANOLA_RUNTIME_TEMPLATE_FILTERS_H
#define PIANOLA_RUNTIME_TEMPLATE_FILTERS_H

#include "runtime/template/Value.h"

namespace pianola::templates {

/// Arguments by position or by name, in the order of the names; what is not given is null.
class Bound {
public:
  /// Fails for arguments too many, twice or of other names.
  Bound(const std::string &function, const Arguments &given,
        std::initializer_list<const char *> names);

  const Value *operator[](size_t i) const { return values[i]; }
  bool isTrue(size_t i, bool otherwise) const {
    return values[i] ? values[i]->isTrue() : otherwise;
  }
  /// Fails for what is no integer.
  Integer integer(size_t i, Integer otherwise) const;
  /// Fails for what is no text.
  Text text(size_t i, const char *otherwise) const;
  /// Fails if it is not given.
  const Value &required(size_t i) const;

private:
  std::string function;
  std::vector<const char *> names;
  std::vector<const Value *> values;
};

using FilterFunction = Value (*)(Interpreter &, const Value &self, const Arguments &);
using TestFunction = bool (*)(Interpreter &, const Value &self, const Arguments &);

/// Null if there is none of that name.
FilterFunction findFilter(const std::string &name);
TestFunction findTest(const std::string &name);
FilterFunction findTextFilter(const std::string &name);     // those that give texts
FilterFunction findSequenceFilter(const std::string &name); // those of lists and dicts

/// A method of a value; null if it has none of that name. Names that change values give a callable
/// that fails, and so do names with underscores.
std::optional<Value> findMethod(const Value &self, const std::string &name);
std::optional<Value> findTextMethod(const String &self, const std::string &name);

/// Python's json.dumps, as transformers' tojson calls it.
Text toJson(Interpreter &interpreter, const Value &value, const Arguments &arguments);

/// The text of a method, and of filters that are one: "strip" and the like.
Text stripped(const Text &text, const Value *characters, bool left, bool right);
Text replacedText(Interpreter &interpreter, const Text &text, const Text &from, const Text &to,
                  Integer most);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalised(std::string_view text);

/// %: printf-style formatting.
Text formatPercent(const Text &format, const Value &value);
/// str.format().
Text formatBraces(Interpreter &interpreter, const Text &format, const Arguments &arguments);

} // namespace pianola::templates

#endif
