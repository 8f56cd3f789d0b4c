// Operators.cpp - arithmetic, membership and slices, as Python has them.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <cmath>

namespace pianola::templates {

[[noreturn]] static void failOperands(const std::string &sign, const Value &a, const Value &b) {
  fail("unsupported operand type(s) for " + sign + ": '" + a.typeName() + "' and '" + b.typeName() +
       "'");
}

[[noreturn]] static void failSize() { fail("a number of more than 127 bits", FailureKind::Limit); }

static Integer floorDivide(Integer a, Integer b) {
  Integer quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

static Value power(Integer base, Integer exponent) {
  if (exponent < 0) {
    if (base == 0)
      fail("0.0 cannot be raised to a negative power");
    return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  }
  Integer result = 1;
  if (base == 0 || base == 1)
    return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1)
    return Value::integer(exponent % 2 == 0 ? 1 : -1);
  for (; exponent > 0; --exponent) // at most 127 times, or it fails
    if (__builtin_mul_overflow(result, base, &result))
      failSize();
  return Value::integer(result);
}

static Value ofIntegers(const std::string &sign, Integer a, Integer b) {
  Integer result = 0;
  if (sign == "+") {
    if (__builtin_add_overflow(a, b, &result))
      failSize();
  } else if (sign == "-") {
    if (__builtin_sub_overflow(a, b, &result))
      failSize();
  } else if (sign == "*") {
    if (__builtin_mul_overflow(a, b, &result))
      failSize();
  } else if (sign == "**") {
    return power(a, b);
  } else if (b == 0) {
    fail(sign == "%"   ? "integer modulo by zero"
         : sign == "/" ? "division by zero"
                       : "integer division by zero");
  } else if (sign == "/") {
    return static_cast<double>(a) / static_cast<double>(b);
  } else {
    result = sign == "//" ? floorDivide(a, b) : a - floorDivide(a, b) * b;
  }
  return Value::integer(result);
}

static Value ofNumbers(const std::string &sign, double a, double b) {
  if (sign == "+")
    return a + b;
  if (sign == "-")
    return a - b;
  if (sign == "*")
    return a * b;
  if (sign == "**") {
    if (a == 0 && b < 0)
      fail("0.0 cannot be raised to a negative power");
    if (a < 0 && b != std::floor(b))
      fail("complex numbers are not supported");
    return std::pow(a, b);
  }
  if (b == 0)
    fail(sign == "/" ? "float division by zero" : "float modulo by zero");
  if (sign == "/")
    return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0))
    rest += b;
  return sign == "%" ? rest : std::floor((a - rest) / b + 0.5);
}

static Value repeat(Interpreter &interpreter, const Value &value, Integer times) {
  if (times < 0)
    times = 0;
  if (const Text *text = value.text()) {
    Integer bytes = 0, most = Integer(1) << 60;
    if (__builtin_mul_overflow(static_cast<Integer>(text->size()), times, &bytes))
      bytes = most;
    interpreter.chargeText(static_cast<size_t>(std::min(bytes, most)));
    Text result;
    for (Integer i = 0; i < times && !text->empty(); ++i)
      result.append(*text);
    return result;
  }
  const Items &items = *value.items();
  Items result;
  for (Integer i = 0; i < times && !items.empty(); ++i) {
    interpreter.charge(16 * items.size());
    result.insert(result.end(), items.begin(), items.end());
  }
  return value.is<List>() ? Value::list(std::move(result)) : Value::tuple(std::move(result));
}

Value binary(Interpreter &interpreter, const std::string &sign, const Value &a, const Value &b) {
  if (sign == "%" && a.text())
    return formatPercent(*a.text(), b);
  for (const Value *value : {&a, &b})
    if (const Undefined *undefined = value->as<Undefined>())
      failUndefined(*undefined);
  if (a.asInteger() && b.asInteger())
    return ofIntegers(sign, *a.asInteger(), *b.asInteger());
  if (a.asNumber() && b.asNumber())
    return ofNumbers(sign, *a.asNumber(), *b.asNumber());
  if (sign == "+") {
    if (a.text() && b.text()) {
      interpreter.chargeText(a.text()->size() + b.text()->size());
      Text text = *a.text();
      text.append(*b.text());
      return text;
    }
    if ((a.is<List>() && b.is<List>()) || (a.is<Tuple>() && b.is<Tuple>())) {
      Items items = *a.items();
      items.insert(items.end(), b.items()->begin(), b.items()->end());
      interpreter.charge(16 * items.size());
      return a.is<List>() ? Value::list(std::move(items)) : Value::tuple(std::move(items));
    }
    if (a.text() || a.items())
      fail(std::string("can only concatenate ") + a.typeName() + " (not \"" + b.typeName() +
           "\") to " + a.typeName());
  }
  if (sign == "*") {
    if ((a.text() || a.items()) && b.asInteger())
      return repeat(interpreter, a, *b.asInteger());
    if ((b.text() || b.items()) && a.asInteger())
      return repeat(interpreter, b, *a.asInteger());
  }
  failOperands(sign, a, b);
}

bool contains(const Value &container, const Value &value) {
  if (const Text *text = container.text()) {
    if (const Undefined *undefined = value.as<Undefined>())
      failUndefined(*undefined);
    if (!value.text())
      fail(std::string("'in <string>' requires string as left operand, not ") + value.typeName());
    return text->bytes().find(value.text()->bytes()) != std::string::npos;
  }
  if (const Dict *dict = container.as<Dict>()) {
    if (!value.isHashable())
      fail("unhashable type: '" + std::string(value.typeName()) + "'");
    return dict->find(value) != nullptr;
  }
  if (!container.items() && !container.is<View>() && !container.is<Range>() &&
      !container.is<Iterator>() && !container.is<Undefined>())
    fail("argument of type '" + std::string(container.typeName()) + "' is not iterable");
  for (const Value &item : iterate(container))
    if (equal(item, value))
      return true;
  return false;
}

// A bound of a slice; nothing if it is left open.
static std::optional<Integer> boundOf(const Value &value) {
  if (value.is<None>())
    return std::nullopt;
  if (std::optional<Integer> bound = value.asInteger())
    return bound;
  fail("slice indices must be integers or None or have an __index__ method");
}

Value slice(const Value &value, const Value &first, const Value &last, const Value &by) {
  if (const Undefined *undefined = value.as<Undefined>())
    failUndefined(*undefined);
  if (!value.text() && !value.items() && !value.is<Range>())
    fail("'" + std::string(value.typeName()) + "' object has no slices");
  auto size = static_cast<Integer>(length(value));
  Integer step = boundOf(by).value_or(1);
  if (step == 0)
    fail("slice step cannot be zero");
  // The least and the greatest that a bound can be.
  Integer low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  auto clamp = [&](std::optional<Integer> bound, Integer otherwise) {
    if (!bound)
      return otherwise;
    Integer at = *bound < 0 ? *bound + size : *bound;
    return std::max(low, std::min(high, at));
  };
  Integer begin = clamp(boundOf(first), step > 0 ? low : high);
  Integer end = clamp(boundOf(last), step > 0 ? high : low);
  if (const Text *text = value.text()) {
    std::vector<size_t> starts = characterStarts(text->bytes());
    if (step == 1)
      return begin < end
                 ? text->part(starts[static_cast<size_t>(begin)], starts[static_cast<size_t>(end)])
                 : Text();
    Text result;
    for (Integer i = begin; step > 0 ? i < end : i > end; i += step)
      result.append(*text, starts[static_cast<size_t>(i)], starts[static_cast<size_t>(i) + 1]);
    return result;
  }
  Items all = iterate(value), result;
  for (Integer i = begin; step > 0 ? i < end : i > end; i += step)
    result.push_back(all[static_cast<size_t>(i)]);
  return value.is<Tuple>() ? Value::tuple(std::move(result)) : Value::list(std::move(result));
}

} // namespace pianola::templates
