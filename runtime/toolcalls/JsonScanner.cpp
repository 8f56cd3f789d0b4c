// JsonScanner.cpp - finds the end of a JSON value that comes byte by byte.
#include "runtime/toolcalls/JsonScanner.h"

namespace pianola {

static bool isDigit(char c) { return c >= '0' && c <= '9'; }

JsonScanner::Step JsonScanner::end(Step step) {
  state = open.empty() ? Done : CommaOrEnd;
  // Within brackets nothing ends with a value.
  return open.empty() ? step : More;
}

JsonScanner::Step JsonScanner::close(bool isObject) {
  if (open.empty() || open.back() != isObject)
    return Bad;
  open.pop_back();
  return end();
}

JsonScanner::Step JsonScanner::begin(char c) {
  auto go = [&](State next) {
    state = next;
    return More;
  };
  auto literal = [&](std::string_view rest) {
    expected = rest;
    return go(Literal);
  };
  switch (c) {
  case '{':
  case '[':
    if (open.size() >= kDeepest)
      return Bad;
    open.push_back(c == '{');
    return go(c == '{' ? KeyOrEnd : ValueOrEnd);
  case '"':
    isKey = false;
    return go(InString);
  case 't':
    return literal("rue");
  case 'f':
    return literal("alse");
  case 'n':
    return literal("ull");
  case '-':
    return go(Minus);
  case '0':
    return go(Zero);
  default:
    return isDigit(c) ? go(Digits) : Bad;
  }
}

JsonScanner::Step JsonScanner::feedNumber(char c) {
  auto go = [&](State next) {
    state = next;
    return More;
  };
  bool isExponent = c == 'e' || c == 'E';
  switch (state) {
  case Minus:
    return c == '0' ? go(Zero) : isDigit(c) ? go(Digits) : Bad;
  case Zero:
  case Digits:
    if (state == Digits && isDigit(c))
      return More;
    if (c == '.')
      return go(Point);
    if (isExponent)
      return go(Exponent);
    break;
  case Point:
    return isDigit(c) ? go(Fraction) : Bad;
  case Fraction:
    if (isDigit(c))
      return More;
    if (isExponent)
      return go(Exponent);
    break;
  case Exponent:
    if (c == '+' || c == '-')
      return go(ExponentSign);
    return isDigit(c) ? go(ExponentDigits) : Bad;
  case ExponentSign:
    return isDigit(c) ? go(ExponentDigits) : Bad;
  default: // ExponentDigits
    if (isDigit(c))
      return More;
    break;
  }
  // The number ended before this.
  return end(Past) == Past ? Past : feed(c);
}

JsonScanner::Step JsonScanner::feed(char c) {
  if (isInNumber())
    return feedNumber(c);
  switch (state) {
  case InString:
    if (c == '\\') {
      state = Escape;
    } else if (c == '"') {
      if (!isKey)
        return end();
      state = Colon;
    } else if (static_cast<unsigned char>(c) < ' ') {
      return Bad;
    }
    return More;
  case Escape:
    if (c == 'u') {
      hexLeft = 4;
      state = Hex;
      return More;
    }
    state = InString;
    return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos ? More : Bad;
  case Hex:
    if (!isDigit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
      return Bad;
    if (--hexLeft == 0)
      state = InString;
    return More;
  case Literal:
    if (c != expected.front())
      return Bad;
    expected.remove_prefix(1);
    return expected.empty() ? end() : More;
  case Done:
    return Past;
  default:
    break;
  }
  if (isSpace(c))
    return More;
  switch (state) {
  case ValueOrEnd:
    return c == ']' ? close(false) : begin(c);
  case KeyOrEnd:
  case Key:
    if (c == '}' && state == KeyOrEnd)
      return close(true);
    if (c != '"')
      return Bad;
    isKey = true;
    state = InString;
    return More;
  case Colon:
    if (c != ':')
      return Bad;
    state = Value;
    return More;
  case CommaOrEnd:
    if (c != ',')
      return c == ']' || c == '}' ? close(c == '}') : Bad;
    state = open.back() ? Key : Value;
    return More;
  default: // Value
    return begin(c);
  }
}

bool JsonScanner::mayEnd() const {
  return state == Done || (open.empty() && (state == Zero || state == Digits || state == Fraction ||
                                            state == ExponentDigits));
}

bool isJson(std::string_view text) {
  JsonScanner scanner;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    JsonScanner::Step step = scanner.feed(text[i]);
    if (step == JsonScanner::Bad)
      return false;
    if (step == JsonScanner::Past)
      break;
  }
  for (; i < text.size(); ++i)
    if (!isSpace(text[i]))
      return false;
  return scanner.mayEnd();
}

} // namespace pianola
