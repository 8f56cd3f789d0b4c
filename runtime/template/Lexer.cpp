// Lexer.cpp - a template's source as tokens.
#include "runtime/template/Lexer.h"

#include "runtime/template/Failure.h"
#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <cstring>

namespace pianola::templates {

namespace {

// Python's str.isspace: White_Space and the four separators of ASCII.
bool isSpaceAt(std::string_view text, size_t at, size_t &size) {
  Character c = characterAt(text, at);
  size = c.size;
  return isWhiteSpace(c.code) || (c.code >= 0x1c && c.code <= 0x1f);
}

class Lexer {
public:
  explicit Lexer(std::string_view given) {
    source.reserve(given.size());
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i] == '\r' && given.substr(i + 1, 1) == "\n")
        ++i;
      source += given[i] == '\r' ? '\n' : given[i];
    }
    if (!source.empty() && source.back() == '\n')
      source.pop_back();
  }

  std::vector<Token> run() {
    while (at < source.size())
      lexText();
    add(TokenKind::End, "");
    return std::move(tokens);
  }

private:
  [[noreturn]] void refuse(const std::string &what) {
    fail("line " + std::to_string(line) + ": " + what, FailureKind::Syntax);
  }
  void add(TokenKind kind, std::string text) { tokens.push_back({kind, std::move(text), line}); }
  bool lookingAt(std::string_view text) const { return source.compare(at, text.size(), text) == 0; }
  void advance(size_t to) {
    line += static_cast<int>(std::count(source.begin() + static_cast<ptrdiff_t>(at),
                                        source.begin() + static_cast<ptrdiff_t>(to), '\n'));
    at = to;
  }
  size_t skipSpace(size_t from) const {
    size_t size = 0;
    while (from < source.size() && isSpaceAt(source, from, size))
      from += size;
    return from;
  }

  // The text up to `end`, where a tag begins whose sign is there, too.
  void addText(size_t end, char sign, bool isPrint) {
    std::string_view text = std::string_view(source).substr(at, end - at);
    if (sign == '-') {
      size_t size = 0;
      while (!text.empty()) {
        size_t last = characterBefore(text, text.size());
        if (!isSpaceAt(text, last, size))
          break;
        text = text.substr(0, last);
      }
    } else if (sign != '+' && !isPrint) {
      size_t lineBegin = text.rfind('\n') + 1; // npos + 1 is 0
      if ((lineBegin > 0 || atLineStart) && skipSpace(at + lineBegin) >= end)
        text = text.substr(0, lineBegin);
    }
    if (!text.empty())
      add(TokenKind::Text, std::string(text));
    advance(end);
  }

  char signAt(size_t position) const {
    char c = position < source.size() ? source[position] : '\0';
    return c == '-' || c == '+' ? c : '\0';
  }

  // The end of a tag that closes with `close`, or npos if none is at `from`. Swallows what belongs
  // to it.
  size_t endOfTag(size_t from, std::string_view close, bool trims) const {
    char sign = signAt(from);
    if (sign == '+' && !trims)
      return std::string::npos;
    size_t begin = from + (sign ? 1 : 0);
    if (source.compare(begin, close.size(), close) != 0)
      return std::string::npos;
    size_t end = begin + close.size();
    if (sign == '-')
      return skipSpace(end);
    return trims && sign != '+' && end < source.size() && source[end] == '\n' ? end + 1 : end;
  }

  void finishTag(size_t end) {
    atLineStart = source[end - 1] == '\n';
    advance(end);
  }

  // The end of `{% NAME %}` if it is at `from`, or npos. `opens`: line ends after it stay.
  size_t endOfWordTag(size_t from, std::string_view name, bool opens) const {
    size_t begin = from + 2;
    if (signAt(begin))
      ++begin;
    begin = skipSpace(begin);
    if (source.compare(begin, name.size(), name) != 0)
      return std::string::npos;
    begin = skipSpace(begin + name.size());
    if (opens && (signAt(begin) == '+' || source.compare(begin, 2, "%}") == 0))
      return source.compare(begin, 2, "%}") == 0 ? begin + 2 : std::string::npos;
    return endOfTag(begin, "%}", /*trims=*/true);
  }

  void lexText() {
    size_t tag = at;
    for (;; ++tag) {
      tag = source.find('{', tag);
      if (tag == std::string::npos || tag + 1 == source.size()) {
        add(TokenKind::Text, source.substr(at));
        advance(source.size());
        return;
      }
      if (std::strchr("{%#", source[tag + 1]))
        break;
    }
    char kind = source[tag + 1], sign = signAt(tag + 2);
    addText(tag, sign, kind == '{');
    if (kind == '#')
      return lexComment();
    if (size_t end = kind == '%' ? endOfWordTag(at, "raw", true) : std::string::npos;
        end != std::string::npos) {
      finishTag(end);
      return lexRaw();
    }
    add(kind == '{' ? TokenKind::PrintBegin : TokenKind::BlockBegin, "");
    atLineStart = false;
    advance(at + (sign ? 3 : 2));
    lexTag(kind == '{');
  }

  void lexComment() {
    for (size_t i = at + 2; i < source.size(); ++i) {
      size_t end = endOfTag(i, "#}", /*trims=*/true);
      if (end != std::string::npos)
        return finishTag(end);
    }
    refuse("Missing end of comment tag");
  }

  void lexRaw() {
    for (size_t i = at; (i = source.find("{%", i)) != std::string::npos; ++i) {
      size_t end = endOfWordTag(i, "endraw", false);
      if (end == std::string::npos)
        continue;
      addText(i, signAt(i + 2), /*isPrint=*/false);
      return finishTag(end);
    }
    refuse("Missing end of raw directive");
  }

  void lexTag(bool isPrint) {
    std::string open; // brackets
    while (at < source.size()) {
      size_t end = open.empty() ? endOfTag(at, isPrint ? "}}" : "%}", !isPrint) : std::string::npos;
      if (end != std::string::npos) {
        add(isPrint ? TokenKind::PrintEnd : TokenKind::BlockEnd, "");
        return finishTag(end);
      }
      if (size_t after = skipSpace(at); after > at) {
        advance(after);
        continue;
      }
      if (lexNumber() || lexName() || lexString())
        continue;
      lexOperator(open);
    }
    refuse(std::string("unexpected end of template, expected 'end of ") +
           (isPrint ? "print statement'." : "statement block'."));
  }

  // Digits, and single underscores between them.
  size_t skipDigits(size_t from, const char *digits) const {
    auto isDigit = [&](size_t i) {
      return i < source.size() && source[i] && std::strchr(digits, source[i]);
    };
    while (isDigit(from) || (from < source.size() && source[from] == '_' && isDigit(from + 1) &&
                             from > 0 && isDigit(from - 1)))
      ++from;
    return from;
  }

  bool lexNumber() {
    static const char *const kDecimal = "0123456789";
    if (!isdigit(static_cast<uint8_t>(source[at])))
      return false;
    bool afterDot = !tokens.empty() && tokens.back().kind == TokenKind::Operator &&
                    tokens.back().text == "." && at > 0 && source[at - 1] == '.';
    size_t end = skipDigits(at, kDecimal), whole = end;
    if (!afterDot) {
      if (end + 1 < source.size() && source[end] == '.' &&
          isdigit(static_cast<uint8_t>(source[end + 1])))
        end = skipDigits(end + 1, kDecimal);
      size_t exponent = end;
      if (exponent < source.size() && (source[exponent] | 0x20) == 'e') {
        ++exponent;
        exponent += exponent < source.size() && signAt(exponent) ? 1 : 0;
        size_t after = skipDigits(exponent, kDecimal);
        end = after > exponent ? after : end;
      }
    }
    if (end > whole) {
      add(TokenKind::Float, source.substr(at, end - at));
      advance(end);
      return true;
    }
    if (source[at] == '0') {
      // 0x1F, 0o17, 0b101, or zeros alone.
      const char *digits = nullptr;
      char base = at + 1 < source.size() ? static_cast<char>(source[at + 1] | 0x20) : '\0';
      if (base == 'x')
        digits = "0123456789abcdefABCDEF";
      else if (base == 'o')
        digits = "01234567";
      else if (base == 'b')
        digits = "01";
      size_t after = digits ? skipDigits(at + 2, digits) : at;
      end = after > at + 2 ? after : skipDigits(at, "0");
    }
    add(TokenKind::Integer, source.substr(at, end - at));
    advance(end);
    return true;
  }

  bool lexName() {
    size_t end = at;
    while (end < source.size()) {
      Character c = characterAt(source, end);
      if (!(c.code < 0x80 ? isalnum(static_cast<int>(c.code)) || c.code == '_'
                          : isWordCharacter(c.code)))
        break;
      end += c.size;
    }
    if (end == at)
      return false;
    add(TokenKind::Name, source.substr(at, end - at));
    advance(end);
    return true;
  }

  bool lexString() {
    char quote = source[at];
    if (quote != '\'' && quote != '"')
      return false;
    size_t end = at + 1;
    while (end < source.size() && source[end] != quote)
      end += source[end] == '\\' ? 2 : 1;
    if (end >= source.size())
      refuse(std::string("unexpected char ") + (quote == '"' ? "'\"'" : "\"'\"") + " at " +
             std::to_string(at));
    add(TokenKind::String, unescape(std::string_view(source).substr(at + 1, end - at - 1)));
    advance(end + 1);
    return true;
  }

  uint32_t hexDigits(std::string_view text, size_t at, size_t count) {
    uint32_t code = 0;
    for (size_t i = at; i < at + count; ++i) {
      if (i >= text.size() || !isxdigit(static_cast<uint8_t>(text[i])))
        refuse("a truncated escape in a string");
      code = code * 16 + static_cast<uint32_t>(isdigit(static_cast<uint8_t>(text[i]))
                                                   ? text[i] - '0'
                                                   : (text[i] | 0x20) - 'a' + 10);
    }
    return code;
  }

  // Python's escapes.
  std::string unescape(std::string_view text) {
    static const char *const kFrom = "abfnrtv\\'\"", *const kTo = "\a\b\f\n\r\t\v\\'\"";
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        result += text[i];
        continue;
      }
      char c = text[++i]; // there is one, or the string would not end
      if (const char *known = std::strchr(kFrom, c); known && c) {
        result += kTo[known - kFrom];
      } else if (c >= '0' && c <= '7') {
        uint32_t code = 0;
        size_t end = i;
        while (end < i + 3 && end < text.size() && text[end] >= '0' && text[end] <= '7')
          code = code * 8 + static_cast<uint32_t>(text[end++] - '0');
        i = end - 1;
        result += encodeCharacter(code);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        uint32_t code = hexDigits(text, i + 1, count);
        i += count;
        // Half of a pair needs its other half.
        if (code >= 0xd800 && code <= 0xdbff && text.substr(i + 1, 2) == "\\u") {
          uint32_t low = hexDigits(text, i + 3, 4);
          if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            i += 6;
          }
        }
        if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
          refuse("an escape in a string that is no character");
        result += encodeCharacter(code);
      } else if (c == 'N') {
        refuse("names of characters in strings are not supported");
      } else if (c != '\n') {
        result += '\\';
        result += c;
      }
    }
    return result;
  }

  void lexOperator(std::string &open) {
    static const char *const kLong[] = {"//", "**", "==", "!=", ">=", "<="};
    for (const char *two : kLong)
      if (lookingAt(two)) {
        add(TokenKind::Operator, two);
        advance(at + 2);
        return;
      }
    char c = source[at];
    if (!c || !std::strchr("+-/*%~[](){}><=.:|,;", c))
      refuse("unexpected char " +
             (c == '\'' ? std::string("\"'\"")
                        : "'" + source.substr(at, characterAt(source, at).size) + "'") +
             " at " + std::to_string(at));
    if (std::strchr("([{", c)) {
      open += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (std::strchr(")]}", c)) {
      if (open.empty())
        refuse(std::string("unexpected '") + c + "'");
      if (open.back() != c)
        refuse(std::string("unexpected '") + c + "', expected '" + open.back() + "'");
      open.pop_back();
    }
    add(TokenKind::Operator, std::string(1, c));
    advance(at + 1);
  }

  std::string source;
  size_t at = 0;
  int line = 1;
  bool atLineStart = true;
  std::vector<Token> tokens;
};

} // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

} // namespace pianola::templates
