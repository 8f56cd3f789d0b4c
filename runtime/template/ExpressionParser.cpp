// ExpressionParser.cpp - tokens to expressions.
//
// Jinja 3.1's grammar (jinja.palletsprojects.com, "Template Designer Documentation"), with its
// precedences, which are not Python's: ~ binds stronger than + and -, ** leans to the left, and a
// filter binds to what stands right before it.
#include "runtime/template/ExpressionParser.h"

#include "runtime/template/Filters.h"

#include <utility>

namespace pianola::templates {

ExpressionPtr ExpressionParser::parseExpression(bool withCondition) {
  Level level(*this);
  return withCondition ? parseCondition() : parseOr();
}

ExpressionPtr ExpressionParser::parseCondition() {
  Level level(*this);
  ExpressionPtr node = parseOr();
  while (skipName("if")) {
    ++conditions;
    ExpressionPtr condition = parseOr();
    ExpressionPtr otherwise = skipName("else") ? parseCondition() : nullptr;
    --conditions;
    node = make(Expression::If, std::move(node), std::move(condition), std::move(otherwise));
  }
  return node;
}

ExpressionPtr ExpressionParser::parseOr() {
  ExpressionPtr node = parseAnd();
  while (skipName("or"))
    node = make(Expression::Or, std::move(node), parseAnd());
  return node;
}

ExpressionPtr ExpressionParser::parseAnd() {
  ExpressionPtr node = parseNot();
  while (skipName("and"))
    node = make(Expression::And, std::move(node), parseNot());
  return node;
}

ExpressionPtr ExpressionParser::parseNot() {
  Level level(*this);
  if (skipName("not"))
    return make(Expression::Not, parseNot());
  return parseCompare();
}

ExpressionPtr ExpressionParser::parseCompare() {
  ExpressionPtr first = parseSum(), node;
  for (;;) {
    std::string sign;
    for (const char *known : {"==", "!=", "<=", ">=", "<", ">"})
      if (isOperator(known))
        sign = known;
    if (!sign.empty() || isName("in")) {
      sign = take().text;
    } else if (isName("not") && isName("in", 1)) {
      take();
      take();
      sign = "not in";
    } else {
      return node ? std::move(node) : std::move(first);
    }
    if (!node)
      node = make(Expression::Compare, std::move(first));
    node->names.push_back(sign);
    node->parts.push_back(parseSum());
  }
}

ExpressionPtr ExpressionParser::parseBinary(std::initializer_list<const char *> signs,
                                            ExpressionPtr (ExpressionParser::*operand)()) {
  ExpressionPtr node = (this->*operand)();
  for (;;) {
    const char *sign = nullptr;
    for (const char *known : signs)
      if (isOperator(known))
        sign = known;
    if (!sign)
      return node;
    take();
    ExpressionPtr right = (this->*operand)();
    node = make(Expression::Binary, std::move(node), std::move(right));
    node->name = sign;
  }
}

ExpressionPtr ExpressionParser::parseSum() {
  return parseBinary({"+", "-"}, &ExpressionParser::parseConcat);
}

ExpressionPtr ExpressionParser::parseProduct() {
  return parseBinary({"*", "/", "//", "%"}, &ExpressionParser::parsePower);
}

ExpressionPtr ExpressionParser::parsePower() {
  return parseBinary({"**"}, &ExpressionParser::parseSigned);
}

ExpressionPtr ExpressionParser::parseConcat() {
  ExpressionPtr first = parseProduct();
  if (!isOperator("~"))
    return first;
  ExpressionPtr node = make(Expression::Concat, std::move(first));
  while (skipOperator("~"))
    node->parts.push_back(parseProduct());
  return node;
}

ExpressionPtr ExpressionParser::parseSigned() { return parseUnary(true); }

ExpressionPtr ExpressionParser::parseUnary(bool withFilters) {
  Level level(*this);
  ExpressionPtr node;
  if (skipOperator("-"))
    node = make(Expression::Negate, parseUnary(false));
  else if (skipOperator("+"))
    node = make(Expression::Plus, parseUnary(false));
  else
    node = parsePrimary();
  node = parsePostfix(std::move(node));
  return withFilters ? parseFilters(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::parsePrimary() {
  const Token token = peek();
  if (token.kind == TokenKind::Name) {
    static const std::pair<const char *, Value> kConstants[] = {{"true", true},   {"True", true},
                                                                {"false", false}, {"False", false},
                                                                {"none", None()}, {"None", None()}};
    for (const auto &[name, value] : kConstants)
      if (skipName(name))
        return constant(value);
    ExpressionPtr node = make(Expression::Name);
    node->name = take().text;
    if (macro) {
      macro->usesRest |= node->name == "varargs";
      macro->usesNamedRest |= node->name == "kwargs";
      macro->usesCaller |= node->name == "caller";
    }
    return node;
  }
  if (token.kind == TokenKind::String) {
    std::string text;
    while (peek().kind == TokenKind::String)
      text += take().text;
    return constant(text);
  }
  if (token.kind == TokenKind::Integer) {
    std::optional<Integer> value = parseInteger(token.text, 0);
    take();
    return constant(Value::integer(value.value_or(0)));
  }
  if (token.kind == TokenKind::Float) {
    std::optional<double> value = parseFloat(token.text);
    take();
    return constant(value.value_or(0));
  }
  if (skipOperator("(")) {
    ExpressionPtr node = parseTuple(true, true);
    expectOperator(")");
    return node;
  }
  if (skipOperator("[")) {
    ExpressionPtr node = make(Expression::ListOf);
    while (!isOperator("]")) {
      if (!node->parts.empty())
        expectOperator(",");
      if (isOperator("]"))
        break;
      node->parts.push_back(parseExpression());
    }
    take();
    return node;
  }
  if (skipOperator("{")) {
    ExpressionPtr node = make(Expression::DictOf);
    while (!isOperator("}")) {
      if (!node->parts.empty())
        expectOperator(",");
      if (isOperator("}"))
        break;
      node->parts.push_back(parseExpression());
      expectOperator(":");
      node->parts.push_back(parseExpression());
    }
    take();
    return node;
  }
  refuse("unexpected '" + describe(token) + "'");
}

bool ExpressionParser::endsTuple() const {
  return peek().kind == TokenKind::PrintEnd || peek().kind == TokenKind::BlockEnd ||
         isOperator(")");
}

// One expression, or several with commas between. In parentheses there may be none.
ExpressionPtr ExpressionParser::parseTuple(bool withCondition, bool inParentheses,
                                           const char *end) {
  ExpressionPtr node;
  bool isTuple = false;
  std::vector<ExpressionPtr> parts;
  for (;;) {
    if (!parts.empty())
      expectOperator(",");
    if (endsTuple() || (end && isName(end)))
      break;
    parts.push_back(parseExpression(withCondition));
    if (!isOperator(","))
      break;
    isTuple = true;
  }
  if (!isTuple && !parts.empty())
    return std::move(parts[0]);
  if (parts.empty() && !inParentheses)
    refuse("Expected an expression, got '" + describe(peek()) + "'");
  node = make(Expression::TupleOf);
  node->parts = std::move(parts);
  return node;
}

ExpressionPtr ExpressionParser::parsePostfix(ExpressionPtr node) {
  for (;;) {
    if (isOperator(".") || isOperator("["))
      node = parseSubscript(std::move(node));
    else if (isOperator("("))
      node = parseCall(std::move(node));
    else
      return node;
  }
}

ExpressionPtr ExpressionParser::parseCall(ExpressionPtr callee) {
  ExpressionPtr node = make(Expression::Call, std::move(callee));
  node->arguments = parseArguments();
  return node;
}

ExpressionPtr ExpressionParser::parseSubscript(ExpressionPtr node) {
  if (skipOperator(".")) {
    if (peek().kind == TokenKind::Name) {
      node = make(Expression::Attribute, std::move(node));
      node->name = take().text;
      return node;
    }
    if (peek().kind != TokenKind::Integer)
      refuse("expected name or number");
    std::optional<Integer> index = parseInteger(take().text, 0);
    return make(Expression::Item, std::move(node), constant(Value::integer(index.value_or(0))));
  }
  expectOperator("[");
  if (isOperator("]"))
    refuse("expected subscript expression");
  ExpressionPtr first = isOperator(":") ? nullptr : parseExpression();
  if (isOperator(":")) {
    ExpressionPtr bounds[3] = {std::move(first), nullptr, nullptr};
    for (int i = 1; i < 3 && skipOperator(":"); ++i)
      if (!isOperator(":") && !isOperator("]") && !isOperator(","))
        bounds[i] = parseExpression();
    expectOperator("]");
    return make(Expression::Slice, std::move(node), std::move(bounds[0]), std::move(bounds[1]),
                std::move(bounds[2]));
  }
  if (isOperator(",")) {
    ExpressionPtr index = make(Expression::TupleOf, std::move(first));
    while (skipOperator(",") && !isOperator("]"))
      index->parts.push_back(parseExpression());
    first = std::move(index);
  }
  expectOperator("]");
  return make(Expression::Item, std::move(node), std::move(first));
}

CallArguments ExpressionParser::parseArguments() {
  CallArguments arguments;
  expectOperator("(");
  for (bool isFirst = true; !isOperator(")"); isFirst = false) {
    if (!isFirst)
      expectOperator(",");
    if (isOperator(")"))
      break;
    auto check = [&](bool allowed) {
      if (!allowed)
        refuse("invalid syntax for function call expression");
    };
    if (skipOperator("*")) {
      check(!arguments.spread && !arguments.spreadNamed);
      arguments.spread = parseExpression();
    } else if (skipOperator("**")) {
      check(!arguments.spreadNamed);
      arguments.spreadNamed = parseExpression();
    } else if (peek().kind == TokenKind::Name && isOperator("=", 1)) {
      check(!arguments.spreadNamed);
      std::string name = take().text;
      take();
      arguments.named.emplace_back(name, parseExpression());
    } else {
      check(!arguments.spread && !arguments.spreadNamed && arguments.named.empty());
      arguments.positional.push_back(parseExpression());
    }
  }
  take();
  return arguments;
}

std::string ExpressionParser::parseDottedName() {
  std::string name = expectName();
  while (skipOperator("."))
    name += "." + expectName();
  return name;
}

// What is unknown fails at once, but in a branch that may not be taken only when it is.
void ExpressionParser::checkKnown(bool isKnown, const char *what, const std::string &name) {
  if (!isKnown && conditions == 0)
    refuse(std::string("No ") + what + " named '" + name + "'.");
}

ExpressionPtr ExpressionParser::parseFilter(ExpressionPtr node) {
  ExpressionPtr filter = make(Expression::Filter, std::move(node));
  filter->name = parseDottedName();
  checkKnown(findFilter(filter->name) != nullptr, "filter", filter->name);
  if (isOperator("("))
    filter->arguments = parseArguments();
  return filter;
}

ExpressionPtr ExpressionParser::parseTest(ExpressionPtr node) {
  bool isNegative = skipName("not");
  ExpressionPtr test = make(Expression::Test, std::move(node));
  test->name = parseDottedName();
  checkKnown(findTest(test->name) != nullptr, "test", test->name);
  bool isWord =
      peek().kind == TokenKind::Name && !isName("else") && !isName("or") && !isName("and");
  bool isValue = peek().kind == TokenKind::String || peek().kind == TokenKind::Integer ||
                 peek().kind == TokenKind::Float || isOperator("[") || isOperator("{");
  if (isOperator("(")) {
    test->arguments = parseArguments();
  } else if (isWord || isValue) {
    if (isName("is"))
      refuse("You cannot chain multiple tests with is");
    // The condition of a statement or an expression begins with a word, too.
    if (!isName("if") && !isName("in") && !isName("not"))
      test->arguments.positional.push_back(parsePostfix(parsePrimary()));
  }
  return isNegative ? make(Expression::Not, std::move(test)) : std::move(test);
}

ExpressionPtr ExpressionParser::parseFilters(ExpressionPtr node) {
  for (;;) {
    if (skipOperator("|"))
      node = parseFilter(std::move(node));
    else if (skipName("is"))
      node = parseTest(std::move(node));
    else if (isOperator("("))
      node = parseCall(std::move(node));
    else
      return node;
  }
}

} // namespace pianola::templates
