// TextFilters.cpp - filters of texts and numbers.
#include "runtime/template/Characters.h"
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <cmath>
#include <unordered_map>

namespace pianola::templates {

namespace {

// What a filter of texts sees of any value.
Text textOf(const Value &value) { return value.str(); }

Value trim(Interpreter &, const Value &self, const Arguments &given) {
  Bound bound("trim", given, {"chars"});
  return stripped(textOf(self), bound[0], true, true);
}

Value toUpper(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound("upper", given, {});
  Text text = textOf(self);
  interpreter.chargeText(text.size());
  return text.became(upper(text.bytes()));
}

Value toLower(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound("lower", given, {});
  Text text = textOf(self);
  interpreter.chargeText(text.size());
  return text.became(lower(text.bytes()));
}

Value toCapital(Interpreter &, const Value &self, const Arguments &given) {
  Bound("capitalize", given, {});
  Text text = textOf(self);
  return text.became(capitalised(text.bytes()));
}

// Words begin after white space, and after - ( { [ and <.
Value toTitle(Interpreter &, const Value &self, const Arguments &given) {
  Bound("title", given, {});
  Text text = textOf(self);
  const std::vector<size_t> starts = characterStarts(text.bytes());
  std::string result, word;
  auto finish = [&] {
    if (word.empty())
      return;
    size_t first = characterStarts(word)[1];
    result += upper(word.substr(0, first)) + lower(word.substr(first));
    word.clear();
  };
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    std::string character = text.bytes().substr(starts[i], starts[i + 1] - starts[i]);
    if (isSpace(character) || std::string_view("-({[<").find(character) != std::string_view::npos) {
      finish();
      result += character;
    } else {
      word += character;
    }
  }
  finish();
  return text.became(result);
}

Value replace(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("replace", given, {"old", "new", "count"});
  Integer most = bound[2] && !bound[2]->is<None>() ? bound.integer(2, -1) : -1;
  return replacedText(interpreter, textOf(self), textOf(bound.required(0)),
                      textOf(bound.required(1)), most);
}

Value toString(Interpreter &, const Value &self, const Arguments &given) {
  Bound("string", given, {});
  return self.text() ? self : Value(textOf(self));
}

Value indent(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("indent", given, {"width", "first", "blank"});
  Text indention(std::string(4, ' '));
  if (bound[0] && bound[0]->text())
    indention = *bound[0]->text();
  else if (Integer width = bound.integer(0, 4); width != 4) {
    interpreter.chargeText(static_cast<size_t>(std::max<Integer>(0, width)));
    indention = Text(std::string(static_cast<size_t>(std::max<Integer>(0, width)), ' '));
  }
  bool first = bound.isTrue(1, false), blank = bound.isTrue(2, false);
  Text text = textOf(self);
  text.append("\n"); // an end of a line at the end of the text opens one more
  Text result;
  std::vector<std::pair<size_t, size_t>> lines = splitLines(text.bytes());
  for (size_t i = 0; i < lines.size(); ++i) {
    auto [begin, end] = lines[i];
    if (i > 0)
      result.append("\n");
    if (i == 0 ? first : blank || begin < end) {
      interpreter.chargeText(result.size() / 64 + indention.size());
      result.append(indention);
    }
    result.append(text, begin, end);
  }
  interpreter.chargeText(result.size());
  return result;
}

Value format(Interpreter &, const Value &self, const Arguments &given) {
  Text format = textOf(self);
  if (given.named.empty())
    return formatPercent(format, Value::tuple(given.positional));
  if (!given.positional.empty())
    fail("can't handle positional and keyword arguments at the same time");
  std::vector<Entry> entries;
  for (const auto &[name, value] : given.named)
    entries.emplace_back(name, value);
  return formatPercent(format, Value::dict(std::move(entries)));
}

Value center(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound bound("center", given, {"width"});
  std::optional<Value> method =
      findTextMethod(String{std::make_shared<Text>(textOf(self))}, "center");
  Arguments arguments;
  arguments.positional.push_back(Value::integer(bound.integer(0, 80)));
  return interpreter.call(*method, std::move(arguments));
}

Value wordCount(Interpreter &, const Value &self, const Arguments &given) {
  Bound("wordcount", given, {});
  Text text = textOf(self);
  const std::vector<size_t> starts = characterStarts(text.bytes());
  Integer count = 0;
  bool wasWord = false;
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    bool isWord = isWordAt(text.bytes(), starts[i]);
    count += isWord && !wasWord;
    wasWord = isWord;
  }
  return Value::integer(count);
}

Text escaped(const Text &text) {
  Text result;
  static const std::pair<char, const char *> kEscapes[] = {
      {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
  for (size_t i = 0; i < text.size(); ++i) {
    const char *escape = nullptr;
    for (auto [from, to] : kEscapes)
      escape = text.bytes()[i] == from ? to : escape;
    if (escape)
      result.append(escape);
    else
      result.append(text, i, i + 1);
  }
  return result;
}

Value safe(Interpreter &, const Value &self, const Arguments &given) {
  Bound("safe", given, {});
  return String{std::make_shared<Text>(textOf(self)), /*isSafe=*/true};
}

Value escape(Interpreter &interpreter, const Value &self, const Arguments &given) {
  Bound("escape", given, {});
  if (self.is<String>() && self.as<String>()->isSafe)
    return self;
  Text text = textOf(self);
  interpreter.chargeText(5 * text.size());
  return String{std::make_shared<Text>(escaped(text)), /*isSafe=*/true};
}

Value forceEscape(Interpreter &interpreter, const Value &self, const Arguments &given) {
  return escape(interpreter, textOf(self), given);
}

Value toInteger(Interpreter &, const Value &self, const Arguments &given) {
  Bound bound("int", given, {"default", "base"});
  Value otherwise = bound[0] ? *bound[0] : Value::integer(0);
  if (const Undefined *undefined = self.as<Undefined>())
    failUndefined(*undefined);
  if (std::optional<Integer> integer = self.asInteger())
    return Value::integer(*integer);
  std::optional<double> number;
  if (const Text *text = self.text()) {
    if (std::optional<Integer> integer =
            parseInteger(text->bytes(), static_cast<int>(bound.integer(1, 10))))
      return Value::integer(*integer);
    number = parseFloat(text->bytes());
  } else {
    number = self.asNumber();
  }
  if (!number || !std::isfinite(*number))
    return otherwise;
  if (std::fabs(*number) >= 0x1p126)
    fail("a number of more than 127 bits", FailureKind::Limit);
  return Value::integer(static_cast<Integer>(*number));
}

Value toFloat(Interpreter &, const Value &self, const Arguments &given) {
  Bound bound("float", given, {"default"});
  if (const Undefined *undefined = self.as<Undefined>())
    failUndefined(*undefined);
  std::optional<double> number = self.text() ? parseFloat(self.text()->bytes()) : self.asNumber();
  return number ? Value(*number) : bound[0] ? *bound[0] : Value(0.0);
}

double numberOf(const Value &value, const char *filter) {
  if (const Undefined *undefined = value.as<Undefined>())
    failUndefined(*undefined);
  std::optional<double> number = value.asNumber();
  if (!number)
    fail("bad operand type for " + std::string(filter) + "(): '" + value.typeName() + "'");
  return *number;
}

Value absolute(Interpreter &, const Value &self, const Arguments &given) {
  Bound("abs", given, {});
  if (std::optional<Integer> integer = self.asInteger())
    return Value::integer(*integer < 0 ? -*integer : *integer);
  return std::fabs(numberOf(self, "abs"));
}

Value round(Interpreter &, const Value &self, const Arguments &given) {
  Bound bound("round", given, {"precision", "method"});
  double number = numberOf(self, "round");
  Integer precision = bound.integer(0, 0);
  std::string method = bound.text(1, "common").bytes();
  if (method != "common" && method != "ceil" && method != "floor")
    fail("method must be common, ceil or floor");
  if (precision < -300 || precision > 300)
    fail("the precision must be from -300 to 300");
  auto places = static_cast<int>(precision);
  if (method != "common") {
    double scale = std::pow(10.0, places);
    return (method == "ceil" ? std::ceil(number * scale) : std::floor(number * scale)) / scale;
  }
  if (std::optional<Integer> integer = self.asInteger(); integer && places >= 0)
    return Value::integer(*integer);
  if (!std::isfinite(number))
    return number;
  if (places < 0) {
    double scale = std::pow(10.0, -places), rounded = std::nearbyint(number / scale) * scale;
    return self.asInteger() ? Value::integer(static_cast<Integer>(rounded)) : Value(rounded);
  }
  // printf rounds what the number really is, to even: as Python does.
  std::string text(700, '\0');
  text.resize(static_cast<size_t>(std::snprintf(text.data(), text.size(), "%.*f", places, number)));
  return parseFloat(text).value_or(number);
}

Value json(Interpreter &interpreter, const Value &self, const Arguments &given) {
  return toJson(interpreter, self, given);
}

} // namespace

FilterFunction findTextFilter(const std::string &name) {
  static const std::unordered_map<std::string, FilterFunction> kFilters = {
      {"trim", trim},
      {"upper", toUpper},
      {"lower", toLower},
      {"title", toTitle},
      {"capitalize", toCapital},
      {"replace", replace},
      {"string", toString},
      {"indent", indent},
      {"format", format},
      {"center", center},
      {"wordcount", wordCount},
      {"safe", safe},
      {"escape", escape},
      {"e", escape},
      {"forceescape", forceEscape},
      {"int", toInteger},
      {"float", toFloat},
      {"abs", absolute},
      {"round", round},
      {"tojson", json},
  };
  auto found = kFilters.find(name);
  return found == kFilters.end() ? nullptr : found->second;
}

} // namespace pianola::templates
