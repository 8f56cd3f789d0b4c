#include "targets/nvptx/emulator/Lexer.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace pianola::ptx {

namespace {

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool startsWord(char c) { return isLetter(c) || c == '_' || c == '$' || c == '%' || c == '.'; }
bool continuesWord(char c) { return startsWord(c) || isDigit(c); }

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  std::vector<Token> run() {
    std::vector<Token> out;
    do {
      // Inside of an instruction or a declaration a stage cannot begin.
      bool between = out.empty() || out.back().kind == Token::Kind::Stage || out.back().is(';') ||
                     out.back().is('{') || out.back().is('}') || out.back().is(':');
      out.push_back(next());
      while (out.back().kind == Token::Kind::Stage && !between)
        out.back() = next();
    } while (out.back().kind != Token::Kind::End && out.back().kind != Token::Kind::Bad);
    return out;
  }

private:
  std::string_view text;
  size_t at = 0;
  uint32_t line = 1;

  char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }

  Token make(Token::Kind kind, std::string_view content, uint64_t bits = 0) const {
    return {kind, line, content, bits};
  }
  Token bad(std::string_view why) const { return make(Token::Kind::Bad, why); }

  Token next() {
    while (at < text.size()) {
      char c = text[at];
      if (c == '\n') {
        ++line, ++at;
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' ||
                 (c == '\0' && at + 1 == text.size())) { // tools end their strings with a zero byte
        ++at;
      } else if (c == '/' && peek(1) == '/') {
        std::string_view comment = text.substr(at, text.find('\n', at) - at);
        at += comment.size();
        if (Token stage; isStage(comment, stage))
          return stage;
      } else if (c == '/' && peek(1) == '*') {
        size_t end = text.find("*/", at + 2);
        if (end == text.npos)
          return bad("a comment that does not end");
        for (; at < end + 2; ++at)
          line += text[at] == '\n';
      } else {
        return token(c);
      }
    }
    return make(Token::Kind::End, "");
  }

  /// Compilers of PTX mark where a stage begins, for the profile.
  bool isStage(std::string_view comment, Token &out) const {
    constexpr std::string_view marker = "// stage: ";
    if (comment.substr(0, marker.size()) != marker)
      return false;
    out = make(Token::Kind::Stage, comment.substr(marker.size()));
    while (!out.text.empty() && (out.text.back() == '\r' || out.text.back() == ' '))
      out.text.remove_suffix(1);
    return true;
  }

  Token token(char c) {
    if (startsWord(c))
      return word();
    if (isDigit(c))
      return number();
    if (c == '"')
      return string();
    if (std::strchr("{}[]()<>,;:@!|+-*/=~&^?", c)) {
      ++at;
      return make(Token::Kind::Mark, text.substr(at - 1, 1));
    }
    return bad("a character that PTX does not know");
  }

  Token word() {
    size_t start = at;
    while (continuesWord(peek()) || (peek() == ':' && peek(1) == ':' && continuesWord(peek(2))))
      at += peek() == ':' ? 2 : 1;
    return make(Token::Kind::Word, text.substr(start, at - start));
  }

  Token string() {
    size_t start = ++at;
    while (at < text.size() && text[at] != '"' && text[at] != '\n')
      at += text[at] == '\\' && at + 1 < text.size() && text[at + 1] != '\n' ? 2 : 1;
    if (peek() != '"')
      return bad("a string that does not end");
    ++at;
    return make(Token::Kind::String, text.substr(start, at - 1 - start));
  }

  Token number() {
    size_t start = at;
    char kind = peek(1);
    if (peek() == '0' && (kind == 'f' || kind == 'F' || kind == 'd' || kind == 'D')) {
      bool single = kind == 'f' || kind == 'F';
      size_t digits = single ? 8 : 16;
      uint64_t bits = 0;
      const char *first = text.data() + at + 2;
      if (at + 2 + digits > text.size() ||
          std::from_chars(first, first + digits, bits, 16).ptr != first + digits)
        return bad(single ? "0f must have 8 hexadecimal digits"
                          : "0d must have 16 hexadecimal digits");
      at += 2 + digits;
      return make(single ? Token::Kind::Single : Token::Kind::Double,
                  text.substr(start, at - start), bits);
    }
    while (isDigit(peek()) || isLetter(peek()) || (peek() == '.' && isDigit(peek(1))) ||
           ((peek() == '+' || peek() == '-') && isDecimalExponent(start)))
      ++at;
    return parsed(text.substr(start, at - start));
  }

  /// Whether the sign at `at` belongs to the exponent of a number with a point.
  bool isDecimalExponent(size_t start) const {
    std::string_view before = text.substr(start, at - start);
    return !before.empty() && (before.back() == 'e' || before.back() == 'E') &&
           before.find('.') != before.npos && isDigit(peek(1));
  }

  Token parsed(std::string_view digits) const {
    if (digits.find('.') != digits.npos) {
      std::string copy(digits);
      char *end = nullptr;
      double value = std::strtod(copy.c_str(), &end);
      uint64_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      return *end ? bad("a number that is not one") : make(Token::Kind::Double, digits, bits);
    }
    std::string_view body = digits;
    if (body.size() > 1 && (body.back() == 'U' || body.back() == 'u'))
      body.remove_suffix(1);
    int base = 10;
    if (body.size() > 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'X'))
      base = 16, body.remove_prefix(2);
    else if (body.size() > 2 && body[0] == '0' && (body[1] == 'b' || body[1] == 'B'))
      base = 2, body.remove_prefix(2);
    else if (body.size() > 1 && body[0] == '0')
      base = 8, body.remove_prefix(1);
    uint64_t bits = 0;
    auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), bits, base);
    if (error != std::errc() || end != body.data() + body.size())
      return bad("a number that is not one, or has more than 64 bits");
    return make(Token::Kind::Integer, digits, bits);
  }
};

} // namespace

std::vector<Token> tokens(std::string_view text) { return Lexer(text).run(); }

} // namespace pianola::ptx
