// NumberForms.h - numbers of JSON within bounds.
//
// Integers have at most 18 digits unless their bounds want more, fractions at most 16: a number
// that may go on for ever often does.
#ifndef PIANOLA_RUNTIME_GRAMMAR_NUMBERFORMS_H
#define PIANOLA_RUNTIME_GRAMMAR_NUMBERFORMS_H

#include "runtime/grammar/Expression.h"

#include <optional>

namespace pianola::grammar {

using WideInteger = __int128;
inline constexpr WideInteger kGreatest = 999999999999999999; // 18 digits

/// Both ends included.
struct IntegerBounds {
  std::optional<WideInteger> least, most;
};

/// A number as it is written: digits before and after the point, without zeros that say nothing.
struct Decimal {
  bool isNegative = false;
  std::string whole = "0", fraction;
  /// Of a number as JSON writes it; nothing if it is too large or too fine for its digits.
  static std::optional<Decimal> parse(const std::string &text);
};

struct NumberBound {
  Decimal value;
  bool isExclusive = false;
};

Expression integersBetween(const IntegerBounds &bounds);

/// Multiples of `factor` > 0. May add rules. Throws a Refusal for what would be too many.
Expression multiplesBetween(WideInteger factor, const IntegerBounds &bounds, Rules &rules);

/// Without bounds with exponents, too.
Expression numbersBetween(const std::optional<NumberBound> &least,
                          const std::optional<NumberBound> &most);

} // namespace pianola::grammar

#endif
