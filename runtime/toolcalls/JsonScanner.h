// JsonScanner.h - finds the end of a JSON value that comes byte by byte.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_JSONSCANNER_H
#define PIANOLA_RUNTIME_TOOLCALLS_JSONSCANNER_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace pianola {

/// As JSON has it.
inline bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Of one value, with white space before it. It takes JSON as RFC 8259 has it, and nothing else;
/// what is nested more than kDeepest deep is refused, for those who read it after us.
class JsonScanner {
public:
  static constexpr size_t kDeepest = 500;

  enum Step {
    More, // taken
    Last, // taken, and the value ends with it
    Past, // not taken: the value, a number, ended before it
    Bad,  // not taken: there is no JSON that goes on like this
  };
  Step feed(char c);

  /// The value is complete, or may be: a number that ends here.
  bool mayEnd() const;
  /// Only white space so far.
  bool isUntouched() const { return state == Value && open.empty(); }

private:
  enum State : uint8_t {
    Value,
    ValueOrEnd, // after [
    KeyOrEnd,   // after {
    Key,
    Colon,
    CommaOrEnd,
    InString,
    Escape,
    Hex,
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Literal,
    Done,
  };
  Step begin(char c);
  Step end(Step step = Last);
  Step close(bool isObject);
  bool isInNumber() const { return state >= Minus && state <= ExponentDigits; }
  Step feedNumber(char c);

  State state = Value;
  bool isKey = false;        // the string
  uint8_t hexLeft = 0;       // digits
  std::string_view expected; // of a literal
  std::vector<bool> open;    // brackets: true for objects
};

/// If the text is one JSON value.
bool isJson(std::string_view text);

} // namespace pianola

#endif
