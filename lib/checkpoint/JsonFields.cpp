// JsonFields.cpp - JSON from outside: bounded reading, and fields with types and bounds.
#include "lib/checkpoint/JsonFields.h"

#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/Refusal.h"
#include "runtime/JsonShape.h"

#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using nlohmann::json;

namespace pianola {
namespace {

/// A bound as a person writes it: 1e-6, 4096.
std::string show(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

} // namespace

llvm::Expected<json> parseJsonObject(llvm::StringRef text, llvm::StringRef name) {
  constexpr size_t deepest = 64;
  if (size_t depth = jsonShape(text).depth; depth > deepest)
    return refuse(name + ": expected at most 64 levels of nesting, found " + llvm::Twine(depth));
  try {
    json value = json::parse(text.begin(), text.end());
    if (!value.is_object())
      return refuse(name + ": expected a JSON object, found " + showJson(value));
    return value;
  } catch (const json::parse_error &error) {
    return refuse(name + ": not valid JSON at byte " + llvm::Twine(error.byte));
  } catch (const json::exception &) {
    return refuse(name + ": holds a number that no double can hold");
  }
}

llvm::Expected<json> readJsonObject(llvm::StringRef path, uint64_t most) {
  llvm::Expected<std::string> text = readText(path, most);
  if (!text)
    return text.takeError();
  return parseJsonObject(*text, llvm::sys::path::filename(path));
}

std::string showJson(const json &value) {
  // A long container is not worth writing out in full only to be cut.
  if (value.is_object())
    return "an object";
  if (value.is_array() && value.size() > 16)
    return "an array of " + std::to_string(value.size());
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
  if (text.size() > 60)
    text = text.substr(0, 60) + "...";
  return text;
}

const json *JsonFields::find(llvm::StringRef key) const {
  ignore(key);
  auto it = object.find(key.str());
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

bool JsonFields::contains(llvm::StringRef key) const {
  ignore(key);
  return object.contains(key.str());
}

void JsonFields::leave(llvm::StringRef key, const JsonFields &inner) const {
  for (const std::string &field : inner.unread())
    left.insert((key + "." + field).str());
}

std::vector<std::string> JsonFields::unread() const {
  std::set<std::string> keys = left;
  for (const auto &[key, value] : object.items())
    if (!asked.count(key) && value != false && !value.empty())
      keys.insert(key);
  return {keys.begin(), keys.end()};
}

void JsonFields::fail(llvm::StringRef key, const llvm::Twine &text) {
  if (message.empty())
    message = (place + ": " + key + ": " + text).str();
}

void JsonFields::wrong(llvm::StringRef key, const llvm::Twine &expected) {
  const json *value = find(key);
  fail(key, "expected " + expected + ", found " + (value ? showJson(*value) : "nothing"));
}

llvm::Error JsonFields::takeError() {
  return message.empty() ? llvm::Error::success() : refuse(message);
}

void JsonFields::integer(llvm::StringRef key, int64_t least, int64_t most,
                         std::optional<int64_t> &out) {
  const json *value = find(key);
  if (!value)
    return;
  bool fits =
      value->is_number_unsigned()
          ? value->get<uint64_t>() <= uint64_t(most) && int64_t(value->get<uint64_t>()) >= least
          : value->is_number_integer() && value->get<int64_t>() >= least &&
                value->get<int64_t>() <= most;
  if (!fits)
    return wrong(key, "an integer from " + llvm::Twine(least) + " to " + llvm::Twine(most));
  out = value->get<int64_t>();
}

void JsonFields::number(llvm::StringRef key, double least, double most,
                        std::optional<double> &out) {
  const json *value = find(key);
  if (!value)
    return;
  // Written so that a NaN does not fit.
  if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most))
    return wrong(key, "a number from " + show(least) + " to " + show(most));
  out = value->get<double>();
}

void JsonFields::string(llvm::StringRef key, std::optional<std::string> &out) {
  const json *value = find(key);
  if (!value)
    return;
  if (!value->is_string())
    return wrong(key, "a string");
  out = value->get<std::string>();
}

void JsonFields::boolean(llvm::StringRef key, std::optional<bool> &out) {
  const json *value = find(key);
  if (!value)
    return;
  if (!value->is_boolean())
    return wrong(key, "true or false");
  out = value->get<bool>();
}

bool JsonFields::flag(llvm::StringRef key, bool ifAbsent) {
  std::optional<bool> value;
  boolean(key, value);
  return value.value_or(ifAbsent);
}

int64_t JsonFields::integerOr(llvm::StringRef key, int64_t least, int64_t most, int64_t ifAbsent) {
  std::optional<int64_t> value;
  integer(key, least, most, value);
  return value.value_or(ifAbsent);
}

std::vector<int64_t> JsonFields::integers(llvm::StringRef key, int64_t least, int64_t most) {
  std::vector<int64_t> values;
  const json *array = find(key);
  if (!array)
    return values;
  std::string expected = ("integers from " + llvm::Twine(least) + " to " + llvm::Twine(most)).str();
  if (!array->is_array()) {
    wrong(key, "an array of " + expected);
    return values;
  }
  for (const json &entry : *array) {
    bool fits = entry.is_number_integer() && entry.get<int64_t>() >= least &&
                entry.get<int64_t>() <= most &&
                !(entry.is_number_unsigned() && entry.get<uint64_t>() > uint64_t(INT64_MAX));
    if (!fits) {
      fail(key, "expected " + expected + ", found " + showJson(entry));
      return {};
    }
    values.push_back(entry.get<int64_t>());
  }
  return values;
}

void JsonFields::integer(llvm::StringRef key, int64_t least, int64_t most, int64_t &out) {
  std::optional<int64_t> value;
  integer(key, least, most, value);
  if (value)
    out = *value;
  else if (!find(key))
    wrong(key, "an integer from " + llvm::Twine(least) + " to " + llvm::Twine(most));
}

void JsonFields::number(llvm::StringRef key, double least, double most, double &out) {
  std::optional<double> value;
  number(key, least, most, value);
  if (value)
    out = *value;
  else if (!find(key))
    wrong(key, "a number from " + show(least) + " to " + show(most));
}

void JsonFields::string(llvm::StringRef key, std::string &out) {
  std::optional<std::string> value;
  string(key, value);
  if (value)
    out = *value;
  else if (!find(key))
    wrong(key, "a string");
}

} // namespace pianola
