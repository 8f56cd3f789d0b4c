// ExpressionParser.h - tokens to expressions.
#ifndef PIANOLA_RUNTIME_TEMPLATE_EXPRESSIONPARSER_H
#define PIANOLA_RUNTIME_TEMPLATE_EXPRESSIONPARSER_H

#include "runtime/template/Ast.h"
#include "runtime/template/TokenReader.h"

namespace pianola::templates {

/// Statements are for who is derived from it.
class ExpressionParser : protected TokenReader {
protected:
  using TokenReader::TokenReader;

  ExpressionPtr parseExpression(bool withCondition = true);
  bool endsTuple() const;
  /// One expression, or several with commas between. In parentheses there may be none.
  ExpressionPtr parseTuple(bool withCondition, bool inParentheses, const char *end = nullptr);
  ExpressionPtr parseFilter(ExpressionPtr node);

  int conditions = 0;         // around what is parsed: a branch that may not be taken
  Statement *macro = nullptr; // whose body is being parsed

private:
  ExpressionPtr parseCondition();
  ExpressionPtr parseOr();
  ExpressionPtr parseAnd();
  ExpressionPtr parseNot();
  ExpressionPtr parseCompare();
  ExpressionPtr parseBinary(std::initializer_list<const char *> signs,
                            ExpressionPtr (ExpressionParser::*operand)());
  ExpressionPtr parseSum();
  ExpressionPtr parseProduct();
  ExpressionPtr parsePower();
  ExpressionPtr parseConcat();
  ExpressionPtr parseSigned();
  ExpressionPtr parseUnary(bool withFilters);
  ExpressionPtr parsePrimary();
  ExpressionPtr parsePostfix(ExpressionPtr node);
  ExpressionPtr parseCall(ExpressionPtr callee);
  ExpressionPtr parseSubscript(ExpressionPtr node);
  CallArguments parseArguments();
  std::string parseDottedName();
  // What is unknown fails at once, but in a branch that may not be taken only when it is.
  void checkKnown(bool isKnown, const char *what, const std::string &name);
  ExpressionPtr parseTest(ExpressionPtr node);
  ExpressionPtr parseFilters(ExpressionPtr node);

  ExpressionPtr make(Expression::Kind kind) {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->line = peek().line;
    return node;
  }
  template <typename... Parts> ExpressionPtr make(Expression::Kind kind, Parts... parts) {
    ExpressionPtr node = make(kind);
    (node->parts.push_back(std::move(parts)), ...);
    return node;
  }
  ExpressionPtr constant(Value value) {
    ExpressionPtr node = make(Expression::Constant);
    node->value = std::move(value);
    return node;
  }
};

} // namespace pianola::templates

#endif
