// TokenReader.h - the tokens of a template, one after the other.
#ifndef PIANOLA_RUNTIME_TEMPLATE_TOKENREADER_H
#define PIANOLA_RUNTIME_TEMPLATE_TOKENREADER_H

#include "runtime/template/Failure.h"
#include "runtime/template/Lexer.h"

#include <algorithm>

namespace pianola::templates {

/// What is not as expected throws a Failure, which names the line.
class TokenReader {
protected:
  explicit TokenReader(std::string_view source) : tokens(tokenize(source)) {}

  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(next + ahead, tokens.size() - 1)];
  }
  Token take() {
    Token token = peek();
    if (next + 1 < tokens.size())
      ++next;
    return token;
  }
  bool isOperator(const char *text, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::Operator && peek(ahead).text == text;
  }
  bool isName(const char *text, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::Name && peek(ahead).text == text;
  }
  bool skipOperator(const char *text) { return isOperator(text) && (take(), true); }
  bool skipName(const char *text) { return isName(text) && (take(), true); }

  static std::string describe(const Token &token) {
    switch (token.kind) {
    case TokenKind::Text:
      return "text";
    case TokenKind::PrintBegin:
      return "begin of print statement";
    case TokenKind::PrintEnd:
      return "end of print statement";
    case TokenKind::BlockBegin:
      return "begin of statement block";
    case TokenKind::BlockEnd:
      return "end of statement block";
    case TokenKind::Integer:
      return "integer";
    case TokenKind::Float:
      return "float";
    case TokenKind::String:
      return "string";
    case TokenKind::End:
      return "end of template";
    default:
      return token.text;
    }
  }
  [[noreturn]] void refuse(const std::string &what) {
    fail("line " + std::to_string(peek().line) + ": " + what, FailureKind::Syntax);
  }
  [[noreturn]] void refuseToken(const std::string &expected) {
    refuse("expected " + expected + ", got '" + describe(peek()) + "'");
  }
  void expectOperator(const char *text) {
    if (!skipOperator(text))
      refuseToken(std::string("token '") + text + "'");
  }
  std::string expectName() {
    if (peek().kind != TokenKind::Name)
      refuseToken("token 'name'");
    return take().text;
  }
  void expectBlockEnd() {
    if (peek().kind != TokenKind::BlockEnd)
      refuseToken("token 'end of statement block'");
    take();
  }

  // Counts how deep the parser is while it lives.
  class Level {
  public:
    explicit Level(TokenReader &reader) : reader(reader) {
      if (++reader.depth > kDeepest)
        reader.refuse("the template is nested too deeply");
    }
    ~Level() { --reader.depth; }

  private:
    TokenReader &reader;
  };

private:
  static constexpr int kDeepest = 150; // of expressions and statements in each other

  std::vector<Token> tokens;
  size_t next = 0;
  int depth = 0;
};

} // namespace pianola::templates

#endif
