// NumberForms.cpp - numbers of JSON within bounds, digit by digit.
#include "runtime/grammar/NumberForms.h"

#include "runtime/grammar/Refusal.h"

#include <algorithm>

namespace pianola::grammar {

namespace {

constexpr size_t kWholeDigits = 18, kFractionDigits = 16;
constexpr WideInteger kMostListed = 2000, kMostRemainders = 100;

Expression digit(char first = '0', char last = '9') {
  return classOf(CodeSet({{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}}));
}

std::string write(WideInteger value) {
  std::string text;
  bool isNegative = value < 0;
  for (; value != 0 || text.empty(); value /= 10)
    text += static_cast<char>('0' + (isNegative ? -(value % 10) : value % 10));
  if (isNegative)
    text += '-';
  std::reverse(text.begin(), text.end());
  return text;
}

// Digits from `least` to `most`, which are equally many.
Expression digitsBetween(const std::string &least, const std::string &most) {
  size_t size = least.size();
  if (least == std::string(size, '0') && most == std::string(size, '9'))
    return repeatOf(digit(), size, size);
  char low = least[0], high = most[0];
  std::string lowRest = least.substr(1), highRest = most.substr(1);
  auto startingWith = [](char first, Expression rest) {
    return sequenceOf({textOf(std::string(1, first)), std::move(rest)});
  };
  if (low == high)
    return startingWith(low, digitsBetween(lowRest, highRest));
  std::vector<Expression> ways = {
      startingWith(low, digitsBetween(lowRest, std::string(size - 1, '9')))};
  if (high - low > 1)
    ways.push_back(sequenceOf({digit(low + 1, high - 1), repeatOf(digit(), size - 1, size - 1)}));
  ways.push_back(startingWith(high, digitsBetween(std::string(size - 1, '0'), highRest)));
  return choiceOf(std::move(ways));
}

// Of numbers that are not negative, without leading zeros.
Expression wholeBetween(const std::string &least, const std::string &most) {
  std::vector<Expression> ways;
  for (size_t size = least.size(); size <= most.size(); ++size) {
    std::string low = size == least.size() ? least : "1" + std::string(size - 1, '0');
    std::string high = size == most.size() ? most : std::string(size, '9');
    if (low <= high)
      ways.push_back(digitsBetween(low, high));
  }
  return choiceOf(std::move(ways));
}

// The bounds that are not given stand out of the way of those that are.
std::pair<WideInteger, WideInteger> endsOf(const IntegerBounds &bounds) {
  WideInteger least = bounds.least.value_or(std::min(-kGreatest, bounds.most.value_or(0) * 2));
  WideInteger most = bounds.most.value_or(std::max(kGreatest, bounds.least.value_or(0) * 2));
  return {least, most};
}

WideInteger floorDivide(WideInteger a, WideInteger b) { return a / b - (a % b < 0); }

} // namespace

Expression integersBetween(const IntegerBounds &bounds) {
  auto [least, most] = endsOf(bounds);
  std::vector<Expression> ways;
  if (most >= 0 && least <= most)
    ways.push_back(wholeBetween(write(std::max<WideInteger>(least, 0)), write(most)));
  if (least < 0 && least <= most)
    ways.push_back(sequenceOf(
        {textOf("-"), wholeBetween(write(std::max<WideInteger>(-most, 1)), write(-least))}));
  return choiceOf(std::move(ways));
}

Expression multiplesBetween(WideInteger factor, const IntegerBounds &bounds, Rules &rules) {
  auto [least, most] = endsOf(bounds);
  WideInteger first = -floorDivide(-least, factor), last = floorDivide(most, factor);
  if (last - first < kMostListed) {
    std::vector<Expression> ways;
    for (WideInteger i = first; i <= last; ++i)
      ways.push_back(textOf(write(i * factor)));
    return choiceOf(std::move(ways));
  }
  // Of powers of ten: the digits before the zeros.
  std::string text = write(factor);
  if (text == "1" + std::string(text.size() - 1, '0')) {
    std::vector<Expression> ways;
    Expression zeros = textOf(text.substr(1));
    if (first <= 0 && last >= 0)
      ways.push_back(textOf("0"));
    if (last > 0)
      ways.push_back(sequenceOf({integersBetween({std::max<WideInteger>(first, 1), last}), zeros}));
    if (first < 0)
      ways.push_back(
          sequenceOf({integersBetween({first, std::min<WideInteger>(last, -1)}), zeros}));
    return choiceOf(std::move(ways));
  }
  bool isOpen = !bounds.most && (!bounds.least || *bounds.least == 0 || *bounds.least == 1);
  if (factor > kMostRemainders || !isOpen)
    refuse("with these bounds there are too many multiples");
  // Others: a rule for each remainder and number of digits that may follow.
  size_t size = static_cast<size_t>(factor);
  uint32_t begin = static_cast<uint32_t>(rules.rules.size());
  auto after = [&](size_t remainder, size_t left) {
    return ruleOf(static_cast<uint32_t>(begin + left * size + remainder));
  };
  for (size_t left = 0; left < kWholeDigits; ++left)
    for (size_t remainder = 0; remainder < size; ++remainder) {
      std::vector<Expression> ways;
      if (remainder == 0)
        ways.push_back(sequenceOf({}));
      for (int next = 0; next < 10 && left > 0; ++next)
        ways.push_back(sequenceOf(
            {textOf(std::to_string(next)), after((remainder * 10 + next) % size, left - 1)}));
      rules.add("multiples of " + text, choiceOf(std::move(ways)));
    }
  std::vector<Expression> positive, ways;
  for (int next = 1; next < 10; ++next)
    positive.push_back(
        sequenceOf({textOf(std::to_string(next)), after(next % size, kWholeDigits - 1)}));
  ways.push_back(choiceOf(positive));
  if (!bounds.least)
    ways.push_back(sequenceOf({textOf("-"), choiceOf(std::move(positive))}));
  if (!bounds.least || *bounds.least == 0)
    ways.push_back(textOf("0"));
  return choiceOf(std::move(ways));
}

//===----------------------------------------------------------------------===//
// Fractions
//===----------------------------------------------------------------------===//

std::optional<Decimal> Decimal::parse(const std::string &text) {
  Decimal made;
  std::string digits;
  long exponent = 0;
  bool afterPoint = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '-') {
      made.isNegative = true;
    } else if (c == '.') {
      afterPoint = true;
    } else if (c == 'e' || c == 'E') {
      exponent += std::strtol(text.c_str() + i + 1, nullptr, 10);
      break;
    } else if (c >= '0' && c <= '9') {
      digits += c;
      exponent -= afterPoint;
    }
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  while (!digits.empty() && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  if (digits.empty())
    return Decimal();
  if (exponent > 18 || exponent < -30 || digits.size() > 30)
    return std::nullopt;
  if (exponent > 0)
    digits.append(exponent, '0');
  size_t after = exponent < 0 ? -exponent : 0;
  if (digits.size() < after)
    digits.insert(0, after - digits.size(), '0');
  made.fraction = digits.substr(digits.size() - after);
  made.whole = digits.substr(0, digits.size() - after);
  if (made.whole.empty())
    made.whole = "0";
  if (made.whole.size() > kWholeDigits)
    return std::nullopt;
  return made;
}

namespace {

// What may follow the whole part, if the fraction must not be below or above another.
class Fractions {
public:
  struct End {
    std::string digits;
    bool isExclusive;
  };
  Fractions(std::optional<End> low, std::optional<End> high, size_t digits)
      : low(std::move(low)), high(std::move(high)) {
    most = digits;
    for (const std::optional<End> *end : {&this->low, &this->high})
      if (*end)
        most = std::max(most, (*end)->digits.size() + 2);
  }

  Expression make() const {
    Expression digits = sequenceOf({textOf("."), after(0, low.has_value(), high.has_value())});
    if (!mayEnd(0, low.has_value(), high.has_value()))
      return digits;
    return optional(std::move(digits));
  }

private:
  // After `count` digits that are those of `low`, of `high`, or of none.
  bool mayEnd(size_t count, bool atLow, bool atHigh) const {
    if (atLow && (count < low->digits.size() || low->isExclusive))
      return false;
    return !(atHigh && count >= high->digits.size() && high->isExclusive);
  }
  static char digitAt(const End &end, size_t i) {
    return i < end.digits.size() ? end.digits[i] : '0';
  }
  // At least one more digit.
  Expression after(size_t count, bool atLow, bool atHigh) const {
    if (atLow && count >= low->digits.size() && !low->isExclusive)
      atLow = false; // whatever follows is no less
    if (!atLow && !atHigh)
      return repeatOf(digit(), 1, static_cast<uint32_t>(most - count));
    char first = atLow ? digitAt(*low, count) : '0', last = atHigh ? digitAt(*high, count) : '9';
    std::vector<Expression> ways;
    auto addDigits = [&](char from, char to, bool staysLow, bool staysHigh) {
      if (from > to)
        return;
      std::vector<Expression> rest;
      if (mayEnd(count + 1, staysLow, staysHigh))
        rest.push_back(sequenceOf({}));
      if (count + 1 < most)
        rest.push_back(after(count + 1, staysLow, staysHigh));
      ways.push_back(sequenceOf({digit(from, to), choiceOf(std::move(rest))}));
    };
    if (first == last && atLow && atHigh) {
      addDigits(first, first, true, true);
      return choiceOf(std::move(ways));
    }
    if (atLow && first <= last)
      addDigits(first, first, true, false);
    addDigits(first + atLow, last - atHigh, false, false);
    if (atHigh && first <= last)
      addDigits(last, last, false, true);
    return choiceOf(std::move(ways));
  }

  std::optional<End> low, high;
  size_t most;
};

bool isLess(const std::string &a, const std::string &b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

WideInteger readWhole(const std::string &digits) {
  WideInteger value = 0;
  for (char c : digits)
    value = value * 10 + (c - '0');
  return value;
}

// Where a bound is exclusive, numbers have no more digits than a double tells apart: it would take
// 99.9999999999999999 for 100.
size_t fractionDigits(const NumberBound &least, const std::optional<NumberBound> &most) {
  constexpr size_t kTold = 15;
  if (!least.isExclusive && !(most && most->isExclusive))
    return kFractionDigits;
  size_t whole = std::max(least.value.whole.size(), most ? most->value.whole.size() : 0);
  return whole < kTold ? kTold - whole : 1;
}

// Numbers that are not negative.
Expression magnitudes(const NumberBound &least, const std::optional<NumberBound> &most) {
  size_t digits = fractionDigits(least, most);
  Fractions::End low{least.value.fraction, least.isExclusive};
  auto withWhole = [](Expression whole, const Fractions &fractions) {
    return sequenceOf({std::move(whole), fractions.make()});
  };
  const std::string &from = least.value.whole;
  if (most && isLess(most->value.whole, from))
    return nothing();
  if (most && most->value.whole == from)
    return withWhole(
        textOf(from),
        Fractions(low, Fractions::End{most->value.fraction, most->isExclusive}, digits));
  std::vector<Expression> ways = {withWhole(textOf(from), Fractions(low, std::nullopt, digits))};
  WideInteger first = readWhole(from) + 1;
  WideInteger last = most ? readWhole(most->value.whole) - 1 : std::max(kGreatest, first);
  if (first <= last)
    ways.push_back(withWhole(integersBetween({first, last}), Fractions({}, {}, digits)));
  if (most)
    ways.push_back(
        withWhole(textOf(most->value.whole),
                  Fractions({}, Fractions::End{most->value.fraction, most->isExclusive}, digits)));
  return choiceOf(std::move(ways));
}

} // namespace

Expression numbersBetween(const std::optional<NumberBound> &least,
                          const std::optional<NumberBound> &most) {
  if (!least && !most) {
    Expression whole = wholeBetween("0", std::string(kWholeDigits, '9'));
    Expression exponent =
        sequenceOf({classOf(CodeSet({{'e', 'e'}, {'E', 'E'}})),
                    optional(classOf(CodeSet({{'+', '+'}, {'-', '-'}}))), repeatOf(digit(), 1, 2)});
    return sequenceOf({optional(textOf("-")), std::move(whole),
                       Fractions({}, {}, kFractionDigits).make(), optional(std::move(exponent))});
  }
  std::vector<Expression> ways;
  if (!most || !most->value.isNegative) {
    NumberBound from = least && !least->value.isNegative ? *least : NumberBound();
    ways.push_back(magnitudes(from, most));
  }
  if (!least || least->value.isNegative) {
    // Turned around; and zero has no sign.
    NumberBound from;
    from.isExclusive = true;
    if (most && most->value.isNegative)
      from = *most;
    ways.push_back(sequenceOf({textOf("-"), magnitudes(from, least)}));
  }
  return choiceOf(std::move(ways));
}

} // namespace pianola::grammar
