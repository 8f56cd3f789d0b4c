// Value.cpp - what a template computes with.
#include "runtime/template/Value.h"

#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace pianola::templates {

using nlohmann::ordered_json;

static constexpr size_t kDeepest = 200; // of values in values

//===----------------------------------------------------------------------===//
// Values of values
//===----------------------------------------------------------------------===//

Extent Value::extent() const {
  if (const List *list = as<List>())
    return list->extent;
  if (const Tuple *tuple = as<Tuple>())
    return tuple->extent;
  if (const Dict *dict = as<Dict>())
    return dict->extent;
  if (const View *view = as<View>())
    return view->dict.extent;
  if (const Iterator *iterator = as<Iterator>())
    return iterator->extent;
  return {};
}

static void addExtent(Extent &whole, const Extent &part) {
  constexpr uint32_t kDeepestMade = 1000; // freeing them recurses
  constexpr uint64_t kMostValues = 10'000'000;
  whole.depth = std::max(whole.depth, part.depth + 1);
  whole.values += part.values;
  if (whole.depth > kDeepestMade)
    fail("values are nested too deeply", FailureKind::Limit);
  if (whole.values > kMostValues)
    fail("a value holds too many others", FailureKind::Limit);
}

Extent Value::extentOf(const Items &items) {
  Extent extent;
  for (const Value &item : items)
    addExtent(extent, item.extent());
  return extent;
}

Value Value::list(Items items) {
  Extent extent = extentOf(items);
  return List{std::make_shared<Items>(std::move(items)), extent};
}

Value Value::tuple(Items items) {
  Extent extent = extentOf(items);
  return Tuple{std::make_shared<Items>(std::move(items)), extent};
}

Value Value::dict(std::vector<Entry> entries) {
  Extent extent;
  for (const auto &[key, value] : entries) {
    addExtent(extent, key.extent());
    addExtent(extent, value.extent());
  }
  return Dict{std::make_shared<std::vector<Entry>>(std::move(entries)), extent};
}

Value Value::iterator(Items items) {
  Extent extent = extentOf(items);
  return Iterator{std::make_shared<Items>(std::move(items)), std::make_shared<size_t>(0), extent};
}

Value Value::fromJson(const ordered_json &json, bool isData) {
  switch (json.type()) {
  case ordered_json::value_t::boolean:
    return json.get<bool>();
  case ordered_json::value_t::number_integer:
    return integer(json.get<int64_t>());
  case ordered_json::value_t::number_unsigned:
    return integer(json.get<uint64_t>());
  case ordered_json::value_t::number_float:
    return json.get<double>();
  case ordered_json::value_t::string:
    return Text(json.get<std::string>(), isData);
  case ordered_json::value_t::array: {
    Items items;
    for (const ordered_json &item : json)
      items.push_back(fromJson(item, isData));
    return list(std::move(items));
  }
  case ordered_json::value_t::object: {
    std::vector<Entry> entries;
    for (const auto &[key, value] : json.items())
      entries.emplace_back(Text(key, isData), fromJson(value, isData));
    return dict(std::move(entries));
  }
  default:
    return None();
  }
}

const Items *Value::items() const {
  if (const List *list = as<List>())
    return list->items.get();
  if (const Tuple *tuple = as<Tuple>())
    return tuple->items.get();
  return nullptr;
}

std::optional<Integer> Value::asInteger() const {
  if (const Integer *integer = as<Integer>())
    return *integer;
  if (const bool *flag = as<bool>())
    return *flag;
  return std::nullopt;
}

std::optional<double> Value::asNumber() const {
  if (const double *number = as<double>())
    return *number;
  if (std::optional<Integer> integer = asInteger())
    return static_cast<double>(*integer);
  return std::nullopt;
}

const char *Value::typeName() const {
  static const char *const kNames[] = {
      "Undefined", "NoneType", "bool",       "int",   "float",     "str",       "list",
      "tuple",     "dict",     "dict_items", "range", "generator", "namespace", "function"};
  return kNames[content.index()];
}

bool Value::isTrue() const {
  if (const bool *flag = as<bool>())
    return *flag;
  if (std::optional<double> number = asNumber())
    return *number != 0;
  if (is<Undefined>() || is<None>())
    return false;
  if (is<String>() || items() || is<Dict>() || is<View>() || is<Range>())
    return length(*this) != 0;
  return true;
}

bool Value::isHashable() const {
  if (const Tuple *tuple = as<Tuple>())
    return std::all_of(tuple->items->begin(), tuple->items->end(),
                       [](const Value &item) { return item.isHashable(); });
  return !is<List>() && !is<Dict>();
}

Integer Range::size() const {
  if (step > 0)
    return begin < end ? (end - begin + step - 1) / step : 0;
  return begin > end ? (begin - end - step - 1) / -step : 0;
}

const Value *Dict::find(const Value &key) const {
  for (const Entry &entry : *entries)
    if (equal(entry.first, key))
      return &entry.second;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Texts of values
//===----------------------------------------------------------------------===//

std::string formatInteger(Integer value) {
  if (value == 0)
    return "0";
  bool isNegative = value < 0;
  auto rest =
      isNegative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string digits;
  for (; rest != 0; rest /= 10)
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
  if (isNegative)
    digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// The shortest digits that give the number again, with an exponent below 1e-4 and from 1e16 on.
std::string formatFloat(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[400];
  double size = std::fabs(value);
  bool hasExponent = size != 0 && (size < 1e-4 || size >= 1e16);
  auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), value,
                    hasExponent ? std::chars_format::scientific : std::chars_format::fixed);
  (void)error;
  std::string text(buffer, end);
  if (!hasExponent && text.find('.') == std::string::npos)
    text += ".0";
  return text;
}

// Python prints a character by itself if its category is neither "other" nor, but for the space, a
// separator.
static bool isPrintable(uint32_t c) { return c == ' ' || !isOtherOrSeparator(c); }

static std::string reprOf(std::string_view text) {
  char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos
                   ? '"'
                   : '\'';
  std::string result(1, quote);
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    char buffer[16];
    if (c.code == static_cast<uint32_t>(quote) || c.code == '\\')
      result += {'\\', static_cast<char>(c.code)};
    else if (c.code == '\n')
      result += "\\n";
    else if (c.code == '\r')
      result += "\\r";
    else if (c.code == '\t')
      result += "\\t";
    else if (isPrintable(c.code))
      result += text.substr(i, c.size);
    else {
      const char *form = c.code < 0x100 ? "\\x%02x" : c.code < 0x10000 ? "\\u%04x" : "\\U%08x";
      std::snprintf(buffer, sizeof(buffer), form, c.code);
      result += buffer;
    }
    i += c.size;
  }
  return result + quote;
}

void Value::addRepr(Text &to, size_t depth) const {
  if (depth > kDeepest)
    fail("values are nested too deeply", FailureKind::Limit);
  auto addAll = [&](const Items &items, const char *open, const char *close) {
    to.append(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0)
        to.append(", ");
      items[i].addRepr(to, depth + 1);
    }
    to.append(close);
  };
  if (is<Undefined>())
    to.append("Undefined");
  else if (is<None>())
    to.append("None");
  else if (const bool *flag = as<bool>())
    to.append(*flag ? "True" : "False");
  else if (const Integer *integer = as<Integer>())
    to.append(formatInteger(*integer));
  else if (const double *number = as<double>())
    to.append(formatFloat(*number));
  else if (const Text *string = text())
    to.append(reprOf(string->bytes()), string->hasData());
  else if (const List *list = as<List>())
    addAll(*list->items, "[", "]");
  else if (const Tuple *tuple = as<Tuple>())
    addAll(*tuple->items, "(", tuple->items->size() == 1 ? ",)" : ")");
  else if (const Dict *dict = as<Dict>()) {
    to.append("{");
    for (size_t i = 0; i < dict->entries->size(); ++i) {
      if (i > 0)
        to.append(", ");
      (*dict->entries)[i].first.addRepr(to, depth + 1);
      to.append(": ");
      (*dict->entries)[i].second.addRepr(to, depth + 1);
    }
    to.append("}");
  } else if (const View *view = as<View>()) {
    static const char *const kNames[] = {"dict_keys([", "dict_values([", "dict_items(["};
    addAll(iterate(*view), kNames[view->kind], "])");
  } else if (const Range *range = as<Range>()) {
    to.append("range(" + formatInteger(range->begin) + ", " + formatInteger(range->end) +
              (range->step == 1 ? "" : ", " + formatInteger(range->step)) + ")");
  } else if (is<Namespace>())
    to.append("<Namespace>");
  else if (const Function *function = as<Function>())
    to.append("<function " + (*function)->name + ">");
  else
    to.append("<generator>");
}

Text Value::repr() const {
  Text result;
  addRepr(result, 0);
  return result;
}

Text Value::str() const {
  if (const Text *string = text())
    return *string;
  return is<Undefined>() ? Text() : repr();
}

//===----------------------------------------------------------------------===//
// Comparing
//===----------------------------------------------------------------------===//

static bool equalItems(const Items &a, const Items &b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), equal);
}

bool equal(const Value &a, const Value &b) {
  if (a.asInteger() && b.asInteger())
    return *a.asInteger() == *b.asInteger();
  if (a.asNumber() && b.asNumber())
    return *a.asNumber() == *b.asNumber();
  if (a.text() && b.text())
    return a.text()->bytes() == b.text()->bytes();
  if ((a.is<Undefined>() && b.is<Undefined>()) || (a.is<None>() && b.is<None>()))
    return true;
  if ((a.is<List>() && b.is<List>()) || (a.is<Tuple>() && b.is<Tuple>()))
    return equalItems(*a.items(), *b.items());
  if (a.is<Dict>() && b.is<Dict>()) {
    const std::vector<Entry> &entries = *a.as<Dict>()->entries;
    return entries.size() == b.as<Dict>()->entries->size() &&
           std::all_of(entries.begin(), entries.end(), [&](const Entry &entry) {
             const Value *other = b.as<Dict>()->find(entry.first);
             return other && equal(entry.second, *other);
           });
  }
  if (a.is<Range>() && b.is<Range>())
    return equalItems(iterate(a), iterate(b));
  if (a.is<Namespace>() && b.is<Namespace>())
    return a.as<Namespace>()->members == b.as<Namespace>()->members;
  if (a.is<Function>() && b.is<Function>())
    return *a.as<Function>() == *b.as<Function>();
  return false;
}

template <typename T> static int order(const T &a, const T &b) { return a < b ? -1 : b < a; }

int compare(const Value &a, const Value &b, const char *sign) {
  for (const Value *value : {&a, &b})
    if (const Undefined *undefined = value->as<Undefined>())
      fail(undefined->message, undefined->kind);
  if (a.asInteger() && b.asInteger())
    return order(*a.asInteger(), *b.asInteger());
  if (a.asNumber() && b.asNumber())
    return order(*a.asNumber(), *b.asNumber());
  if (a.text() && b.text()) // UTF-8 is in the order of its characters
    return order(a.text()->bytes().compare(b.text()->bytes()), 0);
  if ((a.is<List>() && b.is<List>()) || (a.is<Tuple>() && b.is<Tuple>())) {
    const Items &left = *a.items(), &right = *b.items();
    for (size_t i = 0; i < left.size() && i < right.size(); ++i)
      if (!equal(left[i], right[i]))
        return compare(left[i], right[i], sign);
    return order(left.size(), right.size());
  }
  fail("'" + std::string(sign) + "' not supported between instances of '" + a.typeName() +
       "' and '" + b.typeName() + "'");
}

size_t length(const Value &value) {
  if (const Text *text = value.text())
    return countCharacters(text->bytes());
  if (const Items *items = value.items())
    return items->size();
  if (const Dict *dict = value.as<Dict>())
    return dict->entries->size();
  if (const View *view = value.as<View>())
    return view->dict.entries->size();
  if (const Range *range = value.as<Range>())
    return static_cast<size_t>(range->size());
  if (value.is<Undefined>())
    return 0;
  fail("object of type '" + std::string(value.typeName()) + "' has no len()");
}

Items iterate(const Value &value) {
  Items result;
  if (const Text *text = value.text()) {
    std::vector<size_t> starts = characterStarts(text->bytes());
    for (size_t i = 0; i + 1 < starts.size(); ++i)
      result.push_back(text->part(starts[i], starts[i + 1]));
    return result;
  }
  if (const Items *items = value.items())
    return *items;
  if (const Dict *dict = value.as<Dict>()) {
    for (const Entry &entry : *dict->entries)
      result.push_back(entry.first);
    return result;
  }
  if (const View *view = value.as<View>()) {
    for (const auto &[key, member] : *view->dict.entries)
      result.push_back(view->kind == View::Keys     ? key
                       : view->kind == View::Values ? member
                                                    : Value::tuple({key, member}));
    return result;
  }
  if (const Range *range = value.as<Range>()) {
    Integer count = range->size();
    for (Integer i = 0; i < count; ++i)
      result.push_back(Value::integer(range->begin + i * range->step));
    return result;
  }
  if (const Iterator *iterator = value.as<Iterator>()) {
    result.assign(iterator->items->begin() + static_cast<ptrdiff_t>(*iterator->next),
                  iterator->items->end());
    *iterator->next = iterator->items->size();
    return result;
  }
  if (value.is<Undefined>())
    return result;
  fail("'" + std::string(value.typeName()) + "' object is not iterable");
}

//===----------------------------------------------------------------------===//
// Numbers from texts
//===----------------------------------------------------------------------===//

static std::string_view withoutSpace(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\n\r\f\v"), end = text.find_last_not_of(" \t\n\r\f\v");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end + 1 - begin);
}

// Digits with single underscores between them, as Python allows; nothing for others.
static std::optional<std::string> withoutUnderscores(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_')
      result += text[i];
    else if (i == 0 || i + 1 == text.size() || !isalnum(static_cast<uint8_t>(text[i - 1])) ||
             !isalnum(static_cast<uint8_t>(text[i + 1])))
      return std::nullopt;
  }
  return result;
}

std::optional<Integer> parseInteger(std::string_view given, int base) {
  std::string_view text = withoutSpace(given);
  bool isNegative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+'))
    text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    int prefixed = text[1] == 'x' || text[1] == 'X'   ? 16
                   : text[1] == 'o' || text[1] == 'O' ? 8
                   : text[1] == 'b' || text[1] == 'B' ? 2
                                                      : 0;
    if (prefixed == base || (base == 0 && prefixed)) {
      base = prefixed;
      text.remove_prefix(text[2] == '_' ? 3 : 2);
    }
  }
  if (base == 0)
    base = 10;
  std::optional<std::string> digits = withoutUnderscores(text);
  if (!digits || digits->empty())
    return std::nullopt;
  Integer value = 0;
  for (char c : *digits) {
    int digit = isdigit(static_cast<uint8_t>(c))   ? c - '0'
                : isalpha(static_cast<uint8_t>(c)) ? tolower(static_cast<uint8_t>(c)) - 'a' + 10
                                                   : 99;
    if (digit >= base)
      return std::nullopt;
    if (__builtin_mul_overflow(value, Integer(base), &value) ||
        __builtin_add_overflow(value, Integer(digit), &value))
      fail("a number of more than 127 bits", FailureKind::Limit);
  }
  return isNegative ? -value : value;
}

std::optional<double> parseFloat(std::string_view given) {
  std::optional<std::string> text = withoutUnderscores(withoutSpace(given));
  if (!text || text->empty())
    return std::nullopt;
  std::string_view digits = *text;
  if (digits[0] == '+')
    digits.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size())
    return std::nullopt;
  if (error == std::errc::result_out_of_range)
    return digits.find("e-") == std::string_view::npos ? (digits[0] == '-' ? -HUGE_VAL : HUGE_VAL)
                                                       : 0.0;
  return error == std::errc() ? std::optional<double>(value) : std::nullopt;
}

} // namespace pianola::templates
