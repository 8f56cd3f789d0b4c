// ObjectCall.cpp - reads a call that is a JSON object.
#include "runtime/toolcalls/CallReader.h"

#include <nlohmann/json.hpp>

namespace pianola {

CallReader::Step ObjectCall::feed(char c) {
  Step taken = step(c);
  // Whatever follows its arguments, the call is whole.
  return taken == Broken && begun && argumentsDone ? Past : taken;
}

CallReader::Step ObjectCall::step(char c) {
  if (state == Key)
    return feedKey(c);
  if (state == Value)
    return feedValue(c);
  if (isSpace(c))
    return More;
  auto go = [&](State next) {
    state = next;
    return More;
  };
  switch (state) {
  case Begin:
    return c == '{' ? go(KeyOrEnd) : Broken;
  case KeyOrEnd:
    if (c != '"')
      return c == '}' ? endObject() : Broken;
    scanner = {};
    literal.clear();
    state = Key;
    return feedKey(c);
  case Colon:
    scanner = {};
    literal.clear();
    return c == ':' ? go(Value) : Broken;
  default: // CommaOrEnd
    // A comma and no key after it is not JSON, but harms nobody.
    return c == ',' ? go(KeyOrEnd) : c == '}' ? endObject() : Broken;
  }
}

CallReader::Step ObjectCall::feedKey(char c) {
  JsonScanner::Step taken = scanner.feed(c);
  if (taken == JsonScanner::Bad)
    return Broken;
  if (literal.size() <= kLongestName)
    literal += c;
  if (taken == JsonScanner::Last) {
    state = Colon;
    member = literal == "\"name\"" && function.empty() ? Name
             : (literal == "\"arguments\"" || literal == "\"parameters\"") && !argumentsBegun
                 ? Arguments
                 : Other;
  }
  return More;
}

CallReader::Step ObjectCall::feedValue(char c) {
  bool isFirst = scanner.isUntouched() && !isSpace(c);
  if (isFirst && ((member == Name && c != '"') || (member == Arguments && c != '{')))
    return Broken;
  JsonScanner::Step taken = scanner.feed(c);
  if (taken == JsonScanner::Bad)
    return Broken;
  bool isLast = taken != JsonScanner::More;
  if (isLast)
    state = CommaOrEnd;
  if (taken == JsonScanner::Past)
    return step(c);
  if (scanner.isUntouched()) // white space
    return More;
  if (member == Name) {
    literal += c;
    if (literal.size() > kLongestName)
      return Broken;
    if (isLast) {
      auto decoded = nlohmann::json::parse(literal, nullptr, /*allow_exceptions=*/false);
      if (!decoded.is_string() || decoded.get_ref<const std::string &>().empty())
        return Broken;
      function = decoded.get<std::string>();
      if (argumentsBegun && !begin())
        return Broken;
    }
  } else if (member == Arguments) {
    argumentsBegun = true;
    if (isFirst && !function.empty() && !begin())
      return Broken;
    arguments += c;
    argumentsDone = isLast;
  }
  return More;
}

bool ObjectCall::begin() {
  begun = !known || known->has(function);
  return begun;
}

CallReader::Step ObjectCall::endObject() {
  if (begun)
    return Last;
  if (known || function.empty())
    return Broken;
  arguments = "{}";
  begun = true;
  return Last;
}

} // namespace pianola
