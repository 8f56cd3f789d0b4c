// Fields.cpp - the fields of a request, checked one by one.
#include "runtime/server/Fields.h"

#include <cmath>
#include <sstream>

namespace pianola::server {

std::string kindOf(const ordered_json &value) {
  switch (value.type()) {
  case ordered_json::value_t::null:
    return "null";
  case ordered_json::value_t::object:
    return "an object";
  case ordered_json::value_t::array:
    return "an array";
  case ordered_json::value_t::string:
    return "a string";
  case ordered_json::value_t::boolean:
    return "a boolean";
  default:
    return value.dump();
  }
}

const ordered_json *Fields::find(const char *name) const {
  auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void Fields::take(const char *name, bool &to) {
  const ordered_json *value = find(name);
  if (value && !value->is_boolean())
    return fail(name, "expected a boolean, found " + kindOf(*value));
  if (value)
    to = value->get<bool>();
}

void Fields::take(const char *name, std::string &to) {
  const ordered_json *value = find(name);
  if (value && !value->is_string())
    return fail(name, "expected a string, found " + kindOf(*value));
  if (value)
    to = value->get<std::string>();
}

void Fields::take(const char *name, float &to, double least, double most) {
  const ordered_json *value = find(name);
  if (!value)
    return;
  double number = value->is_number() ? value->get<double>() : NAN;
  if (!(number >= least && number <= most)) {
    std::ostringstream range;
    range << "expected a number from " << least << " to " << most << ", found " << kindOf(*value);
    return fail(name, range.str());
  }
  to = static_cast<float>(number);
}

void Fields::take(const char *name, int64_t &to, int64_t least, int64_t most) {
  const ordered_json *value = find(name);
  if (!value)
    return;
  bool fits = value->is_number_unsigned() ? value->get<uint64_t>() <= INT64_MAX
                                          : value->is_number_integer();
  int64_t number = fits ? value->get<int64_t>() : 0;
  if (!fits || number < least || number > most)
    return fail(name, "expected a whole number from " + std::to_string(least) + " to " +
                          std::to_string(most) + ", found " + kindOf(*value));
  to = number;
}

void Fields::refuse(const char *name, const ordered_json &harmless) {
  const ordered_json *value = find(name);
  if (value && *value != harmless)
    fail(name, "is not supported");
}

} // namespace pianola::server
