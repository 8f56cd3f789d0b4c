// JsonForms.cpp - how JSON is written here.
#include "runtime/grammar/JsonForms.h"

#include "runtime/grammar/NumberForms.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pianola::grammar {

static const CodeSet &plain() {
  static const CodeSet set({{' ', '!'}, {'#', '['}, {']', 0x10ffff}});
  return set;
}

Expression JsonForms::textsOf(std::initializer_list<const char *> texts) {
  std::vector<Expression> ways;
  for (const char *text : texts)
    ways.push_back(textOf(text));
  return choiceOf(std::move(ways));
}

// The rule may be in what it is made of: it has its number before.
Expression JsonForms::once(std::optional<uint32_t> &rule, const char *name,
                           const std::function<Expression()> &make) {
  if (!rule) {
    rule = rules.add(name);
    rules.rules[*rule].body = make();
  }
  return ruleOf(*rule);
}

Expression JsonForms::space() {
  return once(spaceRule, "white space", [] {
    return choiceOf({textOf(""), textOf(" "),
                     sequenceOf({textOf("\n"), choiceOf({repeatOf(textOf(" "), 0, 40),
                                                         repeatOf(textOf("\t"), 1, 10)})})});
  });
}

Expression JsonForms::around(const char *open, Expression body, const char *close) {
  return sequenceOf({textOf(open), space(), std::move(body), space(), textOf(close)});
}

Expression JsonForms::characters(uint32_t least, uint32_t most) {
  Expression one = once(characterRule, "a character", [] {
    auto hex = [](uint32_t count) {
      return repeatOf(classOf(CodeSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}})), count, count);
    };
    auto of = [](std::vector<CodeRange> ranges) { return classOf(CodeSet(std::move(ranges))); };
    Expression d = of({{'D', 'D'}, {'d', 'd'}});
    // Surrogates come in pairs.
    Expression single = choiceOf(
        {sequenceOf({of({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex(3)}),
         sequenceOf({d, of({{'0', '7'}}), hex(2)})});
    Expression pair = sequenceOf({d, of({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex(2),
                                  textOf("\\u"), d, of({{'C', 'F'}, {'c', 'f'}}), hex(2)});
    return choiceOf(
        {classOf(plain()),
         sequenceOf({textOf("\\"), textsOf({"\"", "\\", "/", "b", "f", "n", "r", "t"})}),
         sequenceOf({textOf("\\u"), choiceOf({std::move(single), std::move(pair)})})});
  });
  return repeatOf(std::move(one), least, most);
}

Expression JsonForms::string(uint32_t least, uint32_t most) {
  return sequenceOf({textOf("\""), characters(least, most), textOf("\"")});
}

Expression JsonForms::value() {
  return once(valueRule, "a value", [this] {
    return choiceOf(
        {object(), array(), string(), numbersBetween({}, {}), textsOf({"true", "false", "null"})});
  });
}

Expression JsonForms::object() {
  return once(objectRule, "an object", [this] {
    Expression member = sequenceOf({string(), colon(), value()});
    Expression more = repeatOf(sequenceOf({comma(), member}), 0, kUnbounded);
    return choiceOf({textOf("{}"), around("{", sequenceOf({member, std::move(more)}), "}")});
  });
}

Expression JsonForms::array() {
  return once(arrayRule, "an array", [this] {
    Expression more = repeatOf(sequenceOf({comma(), value()}), 0, kUnbounded);
    return choiceOf({textOf("[]"), around("[", sequenceOf({value(), std::move(more)}), "]")});
  });
}

std::string JsonForms::write(const nlohmann::ordered_json &value) {
  using Json = nlohmann::ordered_json;
  if (value.is_object() && !value.empty()) {
    std::string text;
    for (const auto &[name, member] : value.items())
      text += (text.empty() ? "{" : ", ") + write(Json(name)) + ": " + write(member);
    return text + "}";
  }
  if (value.is_array() && !value.empty()) {
    std::string text;
    for (const Json &item : value)
      text += (text.empty() ? "[" : ", ") + write(item);
    return text + "]";
  }
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

// What may follow the first `done` characters of the names from `begin` to `end`, which are the
// same: the end if no name ends here, and other characters than any name goes on with.
Expression otherThan(std::vector<std::string>::const_iterator begin,
                     std::vector<std::string>::const_iterator end, size_t done) {
  bool isName = begin != end && begin->size() == done;
  if (isName)
    ++begin;
  std::vector<Expression> ways;
  if (!isName)
    ways.push_back(textOf("\""));
  CodeSet rest = plain();
  while (begin != end) {
    Character next = characterAt(*begin, done);
    std::string bytes = begin->substr(done, next.size);
    auto groupEnd = std::find_if(begin, end, [&](const std::string &name) {
      return name.compare(done, next.size, bytes) != 0;
    });
    ways.push_back(sequenceOf({textOf(bytes), otherThan(begin, groupEnd, done + next.size)}));
    rest = rest - CodeSet({{next.code, next.code}});
    begin = groupEnd;
  }
  ways.push_back(sequenceOf(
      {classOf(std::move(rest)), repeatOf(classOf(plain()), 0, kUnbounded), textOf("\"")}));
  return choiceOf(std::move(ways));
}

} // namespace

Expression JsonForms::nameOtherThan(std::vector<std::string> names) {
  // Those that need escapes are not written anyway.
  names.erase(std::remove_if(names.begin(), names.end(),
                             [](const std::string &name) {
                               return name.find_first_of("\"\\") != std::string::npos ||
                                      std::any_of(name.begin(), name.end(), [](char c) {
                                        return static_cast<unsigned char>(c) < ' ';
                                      });
                             }),
              names.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return sequenceOf({textOf("\""), otherThan(names.begin(), names.end(), 0)});
}

} // namespace pianola::grammar
