// Format.cpp - printf-style formatting and str.format.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <cmath>
#include <cstring>

namespace pianola::templates {

namespace {

constexpr int kWidest = 10000;

// [[fill]align][sign][#][0][width][,][.precision][type], and what % has of it.
struct Spec {
  std::string fill = " ";
  char align = '\0', sign = '\0', type = '\0';
  bool isAlternate = false, hasCommas = false, padsZeros = false;
  int width = 0, precision = -1;
};

int numberAt(std::string_view text, size_t &at) {
  int number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    number = number * 10 + (text[at] - '0');
    if (number > kWidest)
      fail("a width of more than " + std::to_string(kWidest), FailureKind::Limit);
  }
  return number;
}

Text padded(const Spec &spec, const Text &text, char align) {
  auto size = static_cast<int>(countCharacters(text.bytes()));
  int missing = std::max(0, spec.width - size);
  int left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  Text result;
  for (int i = 0; i < left; ++i)
    result.append(spec.fill);
  result.append(text);
  for (int i = left; i < missing; ++i)
    result.append(spec.fill);
  return result;
}

std::string withCommas(const std::string &digits) {
  size_t whole = digits.find_first_not_of("0123456789");
  std::string result = digits;
  for (auto at = static_cast<ptrdiff_t>(whole == std::string::npos ? digits.size() : whole) - 3;
       at > 0; at -= 3)
    result.insert(static_cast<size_t>(at), ",");
  return result;
}

std::string inBase(Integer value, int base) {
  std::string digits;
  do
    digits.insert(digits.begin(), "0123456789abcdef"[value % base]);
  while ((value /= base) != 0);
  return digits;
}

// The sign, the prefix and the digits of a number, padded.
Text formatNumber(const Spec &spec, const Value &value) {
  char type = spec.type;
  std::optional<Integer> integer = value.asInteger();
  bool isIntegral = type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b' ||
                    (type == '\0' && integer);
  std::string prefix, digits;
  bool isNegative = false;
  if (isIntegral) {
    isNegative = *integer < 0;
    Integer size = *integer;
    if (isNegative && __builtin_sub_overflow(Integer(0), size, &size))
      fail("integers are supported up to 2**127", FailureKind::Limit);
    int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    digits = base == 10 ? formatInteger(size) : inBase(size, base);
    if (static_cast<int>(digits.size()) < spec.precision)
      digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
    if (spec.isAlternate && base != 10)
      prefix = std::string("0") + (base == 16 ? 'x' : base == 8 ? 'o' : 'b');
  } else {
    double number = *value.asNumber();
    isNegative = std::signbit(number);
    double size = std::fabs(number);
    if (type == '%')
      size *= 100;
    if (type == '\0' && spec.precision < 0) {
      digits = formatFloat(size);
    } else {
      char form[16];
      char letter = type == '\0' ? 'g' : type == '%' ? 'f' : type;
      std::snprintf(form, sizeof(form), "%%%s.%d%c", spec.isAlternate ? "#" : "",
                    spec.precision < 0 ? 6 : spec.precision, letter);
      std::string buffer(400 + static_cast<size_t>(std::max(6, spec.precision)), '\0');
      buffer.resize(static_cast<size_t>(std::snprintf(buffer.data(), buffer.size(), form, size)));
      digits = buffer;
      if (type == '\0' && digits.find_first_of(".en") == std::string::npos)
        digits += ".0";
    }
    if (type == '%')
      digits += '%';
  }
  if (type == 'X')
    for (std::string *part : {&prefix, &digits})
      for (char &c : *part)
        c = static_cast<char>(toupper(static_cast<uint8_t>(c)));
  if (spec.hasCommas)
    digits = withCommas(digits);
  std::string sign = isNegative                             ? "-"
                     : spec.sign == '+' || spec.sign == ' ' ? std::string(1, spec.sign)
                                                            : std::string();
  if (spec.padsZeros || spec.align == '=') {
    size_t size = sign.size() + prefix.size() + digits.size();
    for (; size < static_cast<size_t>(spec.width); ++size)
      prefix += spec.padsZeros ? "0" : spec.fill;
  }
  return padded(spec, Text(sign + prefix + digits), spec.align ? spec.align : '>');
}

[[noreturn]] void failType(char type, const Value &value) {
  fail(std::string("%") + type + " format: a real number is required, not " + value.typeName());
}

// One conversion of printf.
Text formatPrintf(Spec spec, const Value &value) {
  char type = spec.type;
  if (type == 's' || type == 'r' || type == 'a') {
    Text text = type == 's' ? value.str() : value.repr();
    if (spec.precision >= 0) {
      std::vector<size_t> starts = characterStarts(text.bytes());
      text = text.part(0, starts[std::min(starts.size() - 1, static_cast<size_t>(spec.precision))]);
    }
    return padded(spec, text, spec.align ? spec.align : '>');
  }
  if (type == 'c') {
    const Text *text = value.text();
    if (!text || countCharacters(text->bytes()) != 1)
      fail("%c requires int or char");
    return padded(spec, *text, spec.align ? spec.align : '>');
  }
  if (!value.asNumber())
    failType(type, value);
  if (std::strchr("diu", type)) {
    spec.type = 'd';
    if (!value.asInteger()) {
      double number = *value.asNumber();
      if (!std::isfinite(number) || std::fabs(number) >= 0x1p126)
        fail("cannot convert the number to an integer");
      return formatNumber(spec, Value::integer(static_cast<Integer>(number)));
    }
  } else if (std::strchr("oxX", type) && !value.asInteger()) {
    fail(std::string("%") + type + " format: an integer is required, not " + value.typeName());
  } else if (std::strchr("eEfFgG", type)) {
    return formatNumber(spec, *value.asNumber());
  }
  return formatNumber(spec, value);
}

} // namespace

Text formatPercent(const Text &format, const Value &value) {
  const std::string &all = format.bytes();
  const Tuple *tuple = value.as<Tuple>();
  const Dict *dict = value.as<Dict>();
  size_t used = 0;
  auto next = [&]() -> Value {
    if (tuple ? used >= tuple->items->size() : used > 0)
      fail("not enough arguments for format string");
    ++used;
    return tuple ? (*tuple->items)[used - 1] : value;
  };
  Text result;
  for (size_t i = 0; i < all.size();) {
    size_t percent = std::min(all.find('%', i), all.size());
    result.append(format, i, percent);
    if (percent == all.size())
      break;
    i = percent + 1;
    Spec spec;
    std::optional<Value> named;
    if (i < all.size() && all[i] == '(') {
      size_t end = all.find(')', i);
      if (!dict || end == std::string::npos)
        fail(dict ? "incomplete format key" : "format requires a mapping");
      const Value *found = dict->find(all.substr(i + 1, end - i - 1));
      if (!found)
        fail("'" + all.substr(i + 1, end - i - 1) + "'");
      named = *found;
      i = end + 1;
    }
    for (; i < all.size() && std::strchr("-+ 0#", all[i]) && all[i]; ++i) {
      if (all[i] == '-')
        spec.align = '<';
      else if (all[i] == '+' || (all[i] == ' ' && !spec.sign))
        spec.sign = all[i];
      else if (all[i] == '0')
        spec.padsZeros = true;
      else if (all[i] == '#')
        spec.isAlternate = true;
    }
    spec.padsZeros &= spec.align != '<';
    auto starOrNumber = [&]() -> int {
      if (i >= all.size() || all[i] != '*')
        return numberAt(all, i);
      ++i;
      std::optional<Integer> given = next().asInteger();
      if (!given || *given > kWidest || *given < -kWidest)
        fail("* wants int");
      return static_cast<int>(*given);
    };
    spec.width = starOrNumber();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (i < all.size() && all[i] == '.') {
      ++i;
      spec.precision = std::max(0, starOrNumber());
    }
    while (i < all.size() && std::strchr("hlL", all[i]) && all[i])
      ++i;
    if (i >= all.size())
      fail("incomplete format");
    spec.type = all[i++];
    if (spec.type == '%') {
      result.append("%");
      continue;
    }
    if (!std::strchr("sradiuoxXeEfFgGc", spec.type) || !spec.type)
      fail(std::string("unsupported format character '") + spec.type + "'");
    if (std::strchr("sac", spec.type) || spec.type == 'r')
      spec.padsZeros = false;
    result.append(formatPrintf(spec, named ? *named : next()));
  }
  // As in Python lists pass for mappings here.
  if (tuple ? used < tuple->items->size() : used == 0 && !dict && !value.is<List>())
    fail("not all arguments converted during string formatting");
  return result;
}

//===----------------------------------------------------------------------===//
// str.format
//===----------------------------------------------------------------------===//

static Spec parseSpec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  std::vector<size_t> starts = characterStarts(text);
  size_t first = starts.size() > 1 ? starts[1] : 0;
  auto isAlign = [&](size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  if (first > 0 && isAlign(first)) {
    spec.fill = std::string(text.substr(0, first));
    spec.align = text[first];
    at = first + 1;
  } else if (isAlign(0)) {
    spec.align = text[0];
    at = 1;
  }
  auto skip = [&](char c) { return at < text.size() && text[at] == c && (++at, true); };
  for (char sign : {'+', '-', ' '})
    if (skip(sign))
      spec.sign = sign;
  spec.isAlternate = skip('#');
  spec.padsZeros = skip('0') && !spec.align;
  spec.width = numberAt(text, at);
  spec.hasCommas = skip(',');
  if (skip('.'))
    spec.precision = numberAt(text, at);
  if (at < text.size())
    spec.type = text[at++];
  if (at < text.size())
    fail("Invalid format specifier");
  return spec;
}

static Text formatBySpec(const Value &value, std::string_view text) {
  if (text.empty())
    return value.str();
  Spec spec = parseSpec(text);
  if (value.is<bool>() && spec.type == '\0')
    return padded(spec, value.str(), spec.align ? spec.align : '<');
  if (value.asNumber() && spec.type != 's') {
    bool isFloatType = spec.type && std::strchr("eEfFgG%", spec.type);
    if (spec.type && !isFloatType && (!std::strchr("dxXob", spec.type) || !value.asInteger()))
      fail(std::string("Unknown format code '") + spec.type + "' for object of type '" +
           value.typeName() + "'");
    return formatNumber(spec, isFloatType ? Value(*value.asNumber()) : value);
  }
  if (!value.text() && spec.type != '\0' && spec.type != 's')
    fail("unsupported format string passed to " + std::string(value.typeName()) + ".__format__");
  if (!value.text())
    fail("unsupported format string passed to " + std::string(value.typeName()) + ".__format__");
  if (spec.type != '\0' && spec.type != 's')
    fail(std::string("Unknown format code '") + spec.type + "' for object of type 'str'");
  Text content = *value.text();
  if (spec.precision >= 0) {
    std::vector<size_t> starts = characterStarts(content.bytes());
    content =
        content.part(0, starts[std::min(starts.size() - 1, static_cast<size_t>(spec.precision))]);
  }
  return padded(spec, content, spec.align ? spec.align : '<');
}

// "0", "name", "a.b[0]"
static Value fieldOf(const Interpreter &interpreter, std::string_view field,
                     const Arguments &arguments, size_t &automatic) {
  size_t end = std::min(field.find_first_of(".["), field.size());
  std::string name(field.substr(0, end));
  Value value;
  std::optional<Integer> index = name.empty() ? static_cast<Integer>(automatic++)
                                 : name.find_first_not_of("0123456789") == std::string::npos
                                     ? parseInteger(name)
                                     : std::nullopt;
  if (index) {
    if (*index >= static_cast<Integer>(arguments.positional.size()))
      fail("Replacement index " + formatInteger(*index) +
           " out of range for positional args tuple");
    value = arguments.positional[static_cast<size_t>(*index)];
  } else {
    const Value *found = nullptr;
    for (const auto &[key, given] : arguments.named)
      if (key == name)
        found = &given;
    if (!found)
      fail("'" + name + "'");
    value = *found;
  }
  while (end < field.size()) {
    if (field[end] == '.') {
      size_t next = std::min(field.find_first_of(".[", end + 1), field.size());
      value = interpreter.attribute(value, std::string(field.substr(end + 1, next - end - 1)));
      end = next;
    } else {
      size_t close = field.find(']', end);
      if (close == std::string_view::npos)
        fail("expected '}' before end of string");
      std::string key(field.substr(end + 1, close - end - 1));
      bool isIndex = !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
      value = interpreter.item(value, isIndex ? Value::integer(*parseInteger(key)) : Value(key));
      end = close + 1;
    }
    if (const Undefined *undefined = value.as<Undefined>())
      failUndefined(*undefined);
  }
  return value;
}

Text formatBraces(Interpreter &interpreter, const Text &format, const Arguments &arguments) {
  const std::string &all = format.bytes();
  Text result;
  size_t automatic = 0;
  for (size_t i = 0; i < all.size();) {
    size_t brace = std::min(all.find_first_of("{}", i), all.size());
    result.append(format, i, brace);
    if (brace == all.size())
      break;
    if (all.compare(brace, 2, "{{") == 0 || all.compare(brace, 2, "}}") == 0) {
      result.append(format, brace, brace + 1);
      i = brace + 2;
      continue;
    }
    size_t end = all.find('}', brace);
    if (all[brace] == '}')
      fail("Single '}' encountered in format string");
    if (end == std::string::npos)
      fail("expected '}' before end of string");
    std::string_view field = std::string_view(all).substr(brace + 1, end - brace - 1);
    if (field.find('{') != std::string_view::npos)
      fail("fields in fields are not supported");
    std::string_view spec;
    if (size_t colon = field.find(':'); colon != std::string_view::npos) {
      spec = field.substr(colon + 1);
      field = field.substr(0, colon);
    }
    char conversion = '\0';
    if (size_t mark = field.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != field.size() || !std::strchr("rsa", field[mark + 1]))
        fail("expected ':' after conversion specifier");
      conversion = field[mark + 1];
      field = field.substr(0, mark);
    }
    Value value = fieldOf(interpreter, field, arguments, automatic);
    if (conversion)
      value = conversion == 's' ? value.str() : value.repr();
    result.append(formatBySpec(value, spec));
    interpreter.chargeText(result.size() / 64);
    i = end + 1;
  }
  interpreter.chargeText(result.size());
  return result;
}

} // namespace pianola::templates
