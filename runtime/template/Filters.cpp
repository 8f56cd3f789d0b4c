// Filters.cpp - binding of arguments, and the filters by name.
#include "runtime/template/Filters.h"

#include "runtime/template/Interpreter.h"

namespace pianola::templates {

Bound::Bound(const std::string &function, const Arguments &given,
             std::initializer_list<const char *> names)
    : function(function), names(names), values(names.size()) {
  if (given.positional.size() > names.size())
    fail(function + "() takes at most " + std::to_string(names.size()) + " argument(s), " +
         std::to_string(given.positional.size()) + " given");
  for (size_t i = 0; i < given.positional.size(); ++i)
    values[i] = &given.positional[i];
  for (const auto &[name, value] : given.named) {
    size_t i = 0;
    while (i < this->names.size() && name != this->names[i])
      ++i;
    if (i == this->names.size())
      fail(function + "() got an unexpected keyword argument '" + name + "'");
    if (values[i])
      fail(function + "() got multiple values for argument '" + name + "'");
    values[i] = &value;
  }
}

const Value &Bound::required(size_t i) const {
  if (!values[i])
    fail(function + "() missing 1 required argument: '" + names[i] + "'");
  return *values[i];
}

Integer Bound::integer(size_t i, Integer otherwise) const {
  if (!values[i])
    return otherwise;
  if (const Undefined *undefined = values[i]->as<Undefined>())
    failUndefined(*undefined);
  std::optional<Integer> integer = values[i]->asInteger();
  if (!integer)
    fail("'" + std::string(values[i]->typeName()) + "' object cannot be interpreted as an integer");
  return *integer;
}

Text Bound::text(size_t i, const char *otherwise) const {
  if (!values[i])
    return Text(otherwise);
  if (const Undefined *undefined = values[i]->as<Undefined>())
    failUndefined(*undefined);
  const Text *text = values[i]->text();
  if (!text)
    fail(function + "(): expected a text as '" + names[i] + "', found " + values[i]->typeName());
  return *text;
}

FilterFunction findFilter(const std::string &name) {
  FilterFunction found = findTextFilter(name);
  return found ? found : findSequenceFilter(name);
}

} // namespace pianola::templates
