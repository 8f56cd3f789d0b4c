// Gbnf.cpp - grammars as llama.cpp's users write them.
//
//   name ::= alternatives      # a comment
//
// An alternative is a sequence of "text", [characters], [^others], . for any character, names of
// rules and ( groups ), each perhaps followed by ? * + {n} {n,} or {m,n}. A rule ends with its
// line, but for groups that are open and lines that begin or end with |.
#include "runtime/grammar/Grammar.h"
#include "runtime/grammar/Refusal.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <map>
#include <optional>

namespace pianola::grammar {

namespace {

constexpr size_t kMostText = 1 << 20;
constexpr size_t kMostRules = 20000;
constexpr int kDeepest = 100;  // of groups
constexpr int kMostInARow = 3; // of ? * + {n}

class GbnfParser {
public:
  explicit GbnfParser(std::string_view text) : text(text) {}

  Rules parse() {
    if (text.size() > kMostText)
      refuse("grammar: longer than " + std::to_string(kMostText) + " bytes");
    if (size_t bad = findInvalid(text); bad != std::string_view::npos)
      refuseAt(bad, "not UTF-8");
    for (size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n')
        lines.push_back(i + 1);
    idOf("root", 0);
    for (skipSpace(true); at < text.size(); skipSpace(true))
      parseRule();
    for (const auto &[name, rule] : ids)
      if (!rule.isDefined)
        refuseAt(rule.first,
                 rule.id == 0 ? "there is no rule \"root\"" : "there is no rule \"" + name + "\"");
    return std::move(rules);
  }

private:
  struct Named {
    uint32_t id;
    size_t first; // where it is named first
    bool isDefined;
  };

  [[noreturn]] void refuseAt(size_t place, const std::string &what) const {
    refuse("grammar, " + positionOf(place) + ": " + what);
  }
  std::string positionOf(size_t place) const {
    auto line = std::upper_bound(lines.begin(), lines.end(), place);
    size_t column = 1;
    for (size_t i = *(line - 1); i < place; ++i)
      column += (text[i] & 0xc0) != 0x80;
    return "line " + std::to_string(line - lines.begin()) + ", column " + std::to_string(column);
  }
  [[noreturn]] void refuseHere(const std::string &expected) const {
    std::string found = at >= text.size() ? "the end"
                        : text[at] == '\n' || text[at] == '\r'
                            ? "the end of the line"
                            : '"' + std::string(text.substr(at, characterAt(text, at).size)) + '"';
    refuseAt(at, "expected " + expected + ", found " + found);
  }

  char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  bool skip(std::string_view what) {
    if (text.substr(at, what.size()) != what)
      return false;
    at += what.size();
    return true;
  }
  // Comments, too.
  void skipSpace(bool newLines) {
    for (; at < text.size(); ++at) {
      char c = text[at];
      if (c == '#') {
        at = std::min(text.find_first_of("\r\n", at), text.size());
        --at;
      } else if (!(c == ' ' || c == '\t' || (newLines && (c == '\r' || c == '\n')))) {
        return;
      }
    }
  }

  uint32_t idOf(const std::string &name, size_t place) {
    auto [found, isNew] =
        ids.try_emplace(name, Named{static_cast<uint32_t>(rules.rules.size()), place, false});
    if (isNew) {
      if (rules.rules.size() >= kMostRules)
        refuseAt(place, "more than " + std::to_string(kMostRules) + " rules");
      rules.add("");
    }
    return found->second.id;
  }
  static bool isWord(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  }
  std::string parseName() {
    size_t begin = at;
    while (at < text.size() && isWord(text[at]))
      ++at;
    if (at == begin)
      refuseHere("a name");
    return std::string(text.substr(begin, at - begin));
  }

  void parseRule() {
    size_t place = at;
    std::string name = parseName();
    uint32_t id = idOf(name, place);
    Named &named = ids.at(name);
    if (named.isDefined)
      refuseAt(place, "the rule \"" + name + "\" is there twice");
    named.isDefined = true;
    skipSpace(false);
    if (!skip("::="))
      refuseHere("::=");
    skipSpace(true);
    Expression body = parseChoice(0);
    rules.rules[id] = {"grammar, " + positionOf(place) + ": the rule \"" + name + "\"",
                       std::move(body)};
    if (at < text.size() && text[at] != '\n' && text[at] != '\r')
      refuseHere("text, characters, a name or a group");
  }

  Expression parseChoice(int depth) {
    if (depth > kDeepest)
      refuseAt(at, "groups are nested more than " + std::to_string(kDeepest) + " deep");
    std::vector<Expression> ways;
    do {
      skipSpace(true);
      ways.push_back(parseSequence(depth));
    } while (skipBar(depth > 0));
    return ways.size() == 1 ? std::move(ways[0]) : choiceOf(std::move(ways));
  }

  // A bar may stand at the beginning of the next line, too.
  bool skipBar(bool inGroup) {
    size_t before = at;
    skipSpace(true);
    if (skip("|"))
      return true;
    if (!inGroup)
      at = before;
    return false;
  }

  Expression parseSequence(int depth) {
    std::vector<Expression> parts;
    for (skipSpace(depth > 0); at < text.size(); skipSpace(depth > 0)) {
      std::optional<Expression> part = parseItem(depth);
      if (!part)
        break;
      for (int repeats = 0;
           std::string_view("?*+{").find(peek()) != std::string_view::npos && at < text.size();
           ++repeats) {
        if (repeats == kMostInARow)
          refuseHere("no more repetitions of repetitions");
        part = parseRepeat(std::move(*part));
      }
      parts.push_back(std::move(*part));
    }
    return parts.size() == 1 ? std::move(parts[0]) : sequenceOf(std::move(parts));
  }

  std::optional<Expression> parseItem(int depth) {
    size_t place = at;
    if (skip("\"")) {
      std::string literal;
      while (!skip("\""))
        literal += encodeCharacter(parseCharacter("the closing \""));
      return textOf(std::move(literal));
    }
    if (skip("["))
      return parseClass();
    if (skip(".")) // any character
      return classOf(CodeSet::all());
    if (skip("(")) {
      Expression group = parseChoice(depth + 1);
      if (!skip(")"))
        refuseHere(")");
      return group;
    }
    if (peek() == '<')
      refuseAt(at, "tokens in angle brackets are not supported: rules are made of text");
    if (!isWord(peek()))
      return std::nullopt;
    std::string name = parseName();
    return ruleOf(idOf(name, place));
  }

  Expression parseClass() {
    bool isNegated = skip("^");
    std::vector<CodeRange> ranges;
    while (!skip("]")) {
      size_t place = at;
      uint32_t first = parseCharacter("the closing ]"), last = first;
      if (peek() == '-' && peek(1) != ']' && at + 1 < text.size()) {
        ++at;
        last = parseCharacter("the end of a range");
      }
      if (last < first)
        refuseAt(place, "the range ends before it begins");
      ranges.push_back({first, last});
    }
    CodeSet codes(std::move(ranges));
    return classOf(isNegated ? ~codes : std::move(codes));
  }

  uint32_t parseCharacter(const char *expected) {
    if (at >= text.size() || text[at] == '\n' || text[at] == '\r')
      refuseHere(expected);
    if (!skip("\\")) {
      Character c = characterAt(text, at);
      at += c.size;
      return c.code;
    }
    size_t place = at - 1;
    char kind = peek();
    ++at;
    switch (kind) {
    case 'x':
      return parseHex(2, place);
    case 'u':
      return parseHex(4, place);
    case 'U':
      return parseHex(8, place);
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
      return kind;
    default:
      refuseAt(place,
               "unknown escape; known are \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\] \\- \\^");
    }
  }

  uint32_t parseHex(int digits, size_t place) {
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at) {
      char c = peek();
      int digit = c >= '0' && c <= '9'   ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : -1;
      if (digit < 0)
        refuseHere(std::to_string(digits) + " hexadecimal digits");
      code = code << 4 | digit;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      refuseAt(place, "this is no character of Unicode");
    return code;
  }

  Expression parseRepeat(Expression part) {
    if (skip("?"))
      return optional(std::move(part));
    if (skip("*"))
      return repeatOf(std::move(part), 0, kUnbounded);
    if (skip("+"))
      return repeatOf(std::move(part), 1, kUnbounded);
    size_t place = at++;
    skipSpace(false);
    uint32_t least = parseCount(), most = least;
    skipSpace(false);
    if (skip(",")) {
      skipSpace(false);
      most = peek() == '}' ? kUnbounded : parseCount();
      skipSpace(false);
    }
    if (!skip("}"))
      refuseHere("}");
    if (most < least)
      refuseAt(place, "at least " + std::to_string(least) + " and at most " + std::to_string(most));
    return repeatOf(std::move(part), least, most);
  }

  uint32_t parseCount() {
    size_t place = at;
    uint32_t count = 0;
    while (peek() >= '0' && peek() <= '9') {
      count = count * 10 + (peek() - '0');
      if (count > kMostRepeats)
        refuseAt(place, "more than " + std::to_string(kMostRepeats) + " repetitions");
      ++at;
    }
    if (at == place)
      refuseHere("a number");
    return count;
  }

  std::string_view text;
  size_t at = 0;
  std::vector<size_t> lines = {0}; // where each begins
  Rules rules;
  std::map<std::string, Named> ids;
};

} // namespace

Result<std::shared_ptr<const Grammar>> Grammar::fromGbnf(std::string_view text) {
  try {
    return compile(GbnfParser(text).parse());
  } catch (const Refusal &refusal) {
    return Status::error(refusal.message);
  }
}

} // namespace pianola::grammar
