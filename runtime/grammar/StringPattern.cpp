// StringPattern.cpp - regular expressions for strings of JSON.
#include "runtime/grammar/StringPattern.h"

#include "runtime/grammar/Refusal.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <cstdio>

namespace pianola::grammar {

namespace {

constexpr size_t kMostText = 10000;
constexpr int kDeepest = 50; // of groups

const CodeSet &digits() {
  static const CodeSet set({{'0', '9'}});
  return set;
}
const CodeSet &words() {
  static const CodeSet set({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
  return set;
}
// ECMA 262's WhiteSpace and LineTerminator.
const CodeSet &spaces() {
  static const CodeSet set({{'\t', '\r'},
                            {' ', ' '},
                            {0xa0, 0xa0},
                            {0x1680, 0x1680},
                            {0x2000, 0x200a},
                            {0x2028, 0x2029},
                            {0x202f, 0x202f},
                            {0x205f, 0x205f},
                            {0x3000, 0x3000},
                            {0xfeff, 0xfeff}});
  return set;
}

class PatternParser {
public:
  explicit PatternParser(std::string_view text) : text(text) {}

  StringPattern parse() {
    if (text.size() > kMostText)
      refuse("longer than " + std::to_string(kMostText) + " bytes");
    if (findInvalid(text) != std::string_view::npos)
      refuse("not UTF-8");
    std::vector<Expression> ways;
    const Expression anything = repeatOf(classOf(CodeSet::all()), 0, kUnbounded);
    do {
      bool fromBegin = skip('^');
      Expression way = parseSequence(0);
      bool toEnd = skip('$');
      if (at < text.size() && peek() != '|')
        refuseHere(toEnd ? "$ is supported at the end alone" : "unexpected");
      std::vector<Expression> parts;
      if (!fromBegin)
        parts.push_back(anything);
      parts.push_back(std::move(way));
      if (!toEnd)
        parts.push_back(anything);
      ways.push_back(sequenceOf(std::move(parts)));
    } while (skip('|'));
    Expression body = choiceOf(std::move(ways));
    Lengths lengths = lengthsOf(body);
    return {std::move(body), lengths};
  }

private:
  [[noreturn]] void refuseHere(const std::string &what) const {
    refuse(what + ", at character " +
           std::to_string(std::count_if(text.begin(), text.begin() + std::min(at, text.size()),
                                        [](char c) { return (c & 0xc0) != 0x80; }) +
                          1));
  }
  char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  bool skip(char c) { return at < text.size() && text[at] == c && (++at, true); }
  uint32_t take() {
    if (at >= text.size())
      refuseHere("it ends too early");
    Character c = characterAt(text, at);
    at += c.size;
    return c.code;
  }

  Expression parseChoice(int depth) {
    if (depth > kDeepest)
      refuseHere("groups are nested more than " + std::to_string(kDeepest) + " deep");
    std::vector<Expression> ways;
    do
      ways.push_back(parseSequence(depth));
    while (skip('|'));
    return choiceOf(std::move(ways));
  }

  Expression parseSequence(int depth) {
    std::vector<Expression> parts;
    while (at < text.size() && peek() != '|' && peek() != ')') {
      if (depth == 0 && peek() == '$')
        break;
      parts.push_back(parseRepeat(parseItem(depth)));
    }
    return sequenceOf(std::move(parts));
  }

  Expression parseItem(int depth) {
    if (skip('(')) {
      if (skip('?') && !skip(':'))
        refuseHere("groups that begin with (? are not supported, but for (?:");
      Expression group = parseChoice(depth + 1);
      if (!skip(')'))
        refuseHere("a group is not closed");
      return group;
    }
    if (skip('['))
      return classOf(parseClass());
    if (skip('.'))
      return classOf(~CodeSet({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
    if (skip('\\'))
      return classOf(parseEscape(false));
    if (peek() == '^' || peek() == '$')
      refuseHere(std::string(1, peek()) + " is supported at the ends alone");
    if (std::string_view("*+?{}])").find(peek()) != std::string_view::npos)
      refuseHere(std::string("unexpected ") + peek());
    uint32_t code = take();
    return classOf(CodeSet({{code, code}}));
  }

  CodeSet parseEscape(bool inClass) {
    char kind = peek();
    switch (kind) {
    case 'd':
    case 'D':
      ++at;
      return kind == 'd' ? digits() : ~digits();
    case 'w':
    case 'W':
      ++at;
      return kind == 'w' ? words() : ~words();
    case 's':
    case 'S':
      ++at;
      return kind == 's' ? spaces() : ~spaces();
    default:
      uint32_t code = parseEscaped(inClass);
      return CodeSet({{code, code}});
    }
  }

  uint32_t parseEscaped(bool inClass) {
    char kind = peek();
    for (auto [name, code] :
         {std::pair('t', '\t'), {'n', '\n'}, {'r', '\r'}, {'f', '\f'}, {'v', '\v'}})
      if (skip(name))
        return code;
    if (skip('x'))
      return parseHex(2);
    if (skip('u')) {
      if (skip('{')) {
        size_t end = text.find('}', at);
        if (end == std::string_view::npos || end - at < 1 || end - at > 6)
          refuseHere("expected 1 to 6 hexadecimal digits and }");
        uint32_t code = parseHex(end - at);
        ++at;
        return code;
      }
      return parseHex(4);
    }
    if (kind == '0' && !(peek(1) >= '0' && peek(1) <= '9')) {
      ++at;
      return 0;
    }
    if (inClass && skip('b'))
      return '\b';
    if ((kind >= '0' && kind <= '9') || (kind >= 'a' && kind <= 'z') ||
        (kind >= 'A' && kind <= 'Z'))
      refuseHere(std::string("\\") + kind + " is not supported");
    return take();
  }

  uint32_t parseHex(size_t count) {
    uint32_t code = 0;
    for (size_t i = 0; i < count; ++i, ++at) {
      char c = peek();
      if (!std::isxdigit(static_cast<unsigned char>(c)))
        refuseHere("expected " + std::to_string(count) + " hexadecimal digits");
      code = code << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      refuseHere("surrogates and what is beyond 10FFFF are not supported");
    return code;
  }

  CodeSet parseClass() {
    bool isNegated = skip('^');
    CodeSet set;
    while (!skip(']')) {
      CodeSet first = parseClassItem();
      if (peek() == '-' && peek(1) != ']' && at + 1 < text.size()) {
        ++at;
        CodeSet last = parseClassItem();
        if (!isOne(first) || !isOne(last) || first.ranges()[0].first > last.ranges()[0].first)
          refuseHere("a range must go from one character to a later one");
        first = CodeSet({{first.ranges()[0].first, last.ranges()[0].first}});
      }
      set = set | first;
    }
    return isNegated ? ~set : set;
  }
  CodeSet parseClassItem() {
    if (skip('\\'))
      return parseEscape(true);
    uint32_t code = take();
    return CodeSet({{code, code}});
  }
  static bool isOne(const CodeSet &set) {
    return set.ranges().size() == 1 && set.ranges()[0].first == set.ranges()[0].last;
  }

  // What is lazy matches the same texts.
  Expression parseRepeat(Expression part) {
    uint32_t least = 0, most = kUnbounded;
    if (skip('?'))
      most = 1;
    else if (skip('+'))
      least = 1;
    else if (skip('{')) {
      least = most = parseCount();
      if (skip(','))
        most = peek() == '}' ? kUnbounded : parseCount();
      if (!skip('}'))
        refuseHere("expected }");
      if (most < least)
        refuseHere("a repetition whose most is less than its least");
    } else if (!skip('*')) {
      return part;
    }
    skip('?');
    return repeatOf(std::move(part), least, most);
  }
  uint32_t parseCount() {
    size_t begin = at;
    uint32_t count = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at)
      if ((count = count * 10 + (peek() - '0')) > kMostRepeats)
        refuseHere("more than " + std::to_string(kMostRepeats) + " repetitions");
    if (at == begin)
      refuseHere("expected a number");
    return count;
  }

  static uint64_t times(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
  }
  static uint64_t plus(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

  static Lengths lengthsOf(const Expression &expression) {
    if (expression.kind == Expression::Class)
      return {1, 1};
    Lengths sum{0, 0}, span{UINT64_MAX, 0};
    for (const Expression &part : expression.parts) {
      Lengths own = lengthsOf(part);
      sum = {plus(sum.least, own.least), plus(sum.most, own.most)};
      span = {std::min(span.least, own.least), std::max(span.most, own.most)};
    }
    if (expression.kind == Expression::Choice)
      return span;
    if (expression.kind == Expression::Repeat)
      return {times(sum.least, expression.least), expression.most == kUnbounded
                                                      ? (sum.most == 0 ? 0 : UINT64_MAX)
                                                      : times(sum.most, expression.most)};
    return sum;
  }

  std::string_view text;
  size_t at = 0;
};

} // namespace

static Expression writtenClass(const CodeSet &codes) {
  static const CodeSet kPlain({{' ', '!'}, {'#', '['}, {']', 0x10ffff}});
  std::vector<Expression> ways = {classOf(codes & kPlain)};
  for (uint32_t code = 0; code <= '\\'; ++code) {
    if (!codes.contains(code) || kPlain.contains(code))
      continue;
    static const std::string_view kNames = "\"\"\\\\\bb\ff\nn\rr\tt";
    char escape = 0;
    for (size_t i = 0; i < kNames.size(); i += 2)
      if (static_cast<uint32_t>(kNames[i]) == code)
        escape = kNames[i + 1];
    char text[8];
    if (escape)
      std::snprintf(text, sizeof(text), "\\%c", escape);
    else
      std::snprintf(text, sizeof(text), "\\u%04x", code);
    ways.push_back(textOf(text));
  }
  return ways.size() == 1 ? std::move(ways[0]) : choiceOf(std::move(ways));
}

Expression written(const Expression &expression) {
  if (expression.kind == Expression::Class)
    return writtenClass(expression.codes);
  Expression made = expression;
  for (Expression &part : made.parts)
    part = written(part);
  return made;
}

StringPattern parsePattern(std::string_view pattern) { return PatternParser(pattern).parse(); }

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

// RFC 3339; years of four digits that begin with none of zero, no leap seconds.
#define PIANOLA_DATE                                                                               \
  "(?:[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])"                                  \
  "|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))"                                \
  "|(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
#define PIANOLA_TIME                                                                               \
  "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define PIANOLA_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define PIANOLA_HOST PIANOLA_LABEL "(?:\\." PIANOLA_LABEL "){0,4}"
#define PIANOLA_OCTET "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define PIANOLA_ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}"
#define PIANOLA_URI_TEXT(MORE) "(?:[A-Za-z0-9._~!$&'()*+,;=:@" MORE "-]|%[0-9A-Fa-f]{2}){0,1000}"

const char *patternOfFormat(std::string_view format) {
  static constexpr std::pair<std::string_view, const char *> kFormats[] = {
      {"date", "^" PIANOLA_DATE "$"},
      {"time", "^" PIANOLA_TIME "$"},
      {"date-time", "^" PIANOLA_DATE "T" PIANOLA_TIME "$"},
      {"uuid", "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
      {"email", "^" PIANOLA_ATOM "(?:\\." PIANOLA_ATOM "){0,2}@" PIANOLA_LABEL
                "(?:\\." PIANOLA_LABEL "){1,4}$"},
      {"hostname", "^" PIANOLA_HOST "$"},
      {"ipv4", "^" PIANOLA_OCTET "(?:\\." PIANOLA_OCTET "){3}$"},
      {"uri",
       "^[A-Za-z][A-Za-z0-9+.-]{0,15}://" PIANOLA_HOST "(?::[1-9]\\d{0,3})?(?:/" PIANOLA_URI_TEXT(
           "/") ")?(?:\\?" PIANOLA_URI_TEXT("/?") ")?(?:#" PIANOLA_URI_TEXT("/?") ")?$"},
  };
  for (const auto &[name, pattern] : kFormats)
    if (name == format)
      return pattern;
  return nullptr;
}

} // namespace pianola::grammar
