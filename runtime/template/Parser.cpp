// Parser.cpp - tokens to a tree.
//
// Jinja 3.1's grammar (jinja.palletsprojects.com, "Template Designer Documentation"), with its
// precedences, which are not Python's: ~ binds stronger than + and -, ** leans to the left, and a
// filter binds to what stands right before it.
#include "runtime/template/Parser.h"

#include "runtime/template/Filters.h"
#include "runtime/template/Lexer.h"

#include <algorithm>
#include <utility>

namespace pianola::templates {

namespace {

constexpr int kDeepest = 150; // of expressions and statements in each other

class Parser {
public:
  explicit Parser(std::string_view source) : tokens(tokenize(source)) {}

  Body parseTemplate() {
    Body body = parseBody({});
    if (peek().kind != TokenKind::End)
      refuseTag({});
    return body;
  }

private:
  //===--------------------------------------------------------------------===//
  // Tokens
  //===--------------------------------------------------------------------===//

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
    explicit Level(Parser &parser) : parser(parser) {
      if (++parser.depth > kDeepest)
        parser.refuse("the template is nested too deeply");
    }
    ~Level() { --parser.depth; }

  private:
    Parser &parser;
  };

  //===--------------------------------------------------------------------===//
  // Expressions
  //===--------------------------------------------------------------------===//

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

  ExpressionPtr parseExpression(bool withCondition = true) {
    Level level(*this);
    return withCondition ? parseCondition() : parseOr();
  }

  ExpressionPtr parseCondition() {
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

  ExpressionPtr parseOr() {
    ExpressionPtr node = parseAnd();
    while (skipName("or"))
      node = make(Expression::Or, std::move(node), parseAnd());
    return node;
  }

  ExpressionPtr parseAnd() {
    ExpressionPtr node = parseNot();
    while (skipName("and"))
      node = make(Expression::And, std::move(node), parseNot());
    return node;
  }

  ExpressionPtr parseNot() {
    Level level(*this);
    if (skipName("not"))
      return make(Expression::Not, parseNot());
    return parseCompare();
  }

  ExpressionPtr parseCompare() {
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

  ExpressionPtr parseBinary(std::initializer_list<const char *> signs,
                            ExpressionPtr (Parser::*operand)()) {
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
  ExpressionPtr parseSum() { return parseBinary({"+", "-"}, &Parser::parseConcat); }
  ExpressionPtr parseProduct() { return parseBinary({"*", "/", "//", "%"}, &Parser::parsePower); }
  ExpressionPtr parsePower() { return parseBinary({"**"}, &Parser::parseSigned); }

  ExpressionPtr parseConcat() {
    ExpressionPtr first = parseProduct();
    if (!isOperator("~"))
      return first;
    ExpressionPtr node = make(Expression::Concat, std::move(first));
    while (skipOperator("~"))
      node->parts.push_back(parseProduct());
    return node;
  }

  ExpressionPtr parseSigned() { return parseUnary(true); }

  ExpressionPtr parseUnary(bool withFilters) {
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

  ExpressionPtr parsePrimary() {
    const Token token = peek();
    if (token.kind == TokenKind::Name) {
      static const std::pair<const char *, Value> kConstants[] = {
          {"true", true},   {"True", true},   {"false", false},
          {"False", false}, {"none", None()}, {"None", None()}};
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

  bool endsTuple() const {
    return peek().kind == TokenKind::PrintEnd || peek().kind == TokenKind::BlockEnd ||
           isOperator(")");
  }

  // One expression, or several with commas between. In parentheses there may be none.
  ExpressionPtr parseTuple(bool withCondition, bool inParentheses, const char *end = nullptr) {
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

  ExpressionPtr parsePostfix(ExpressionPtr node) {
    for (;;) {
      if (isOperator(".") || isOperator("["))
        node = parseSubscript(std::move(node));
      else if (isOperator("("))
        node = parseCall(std::move(node));
      else
        return node;
    }
  }

  ExpressionPtr parseCall(ExpressionPtr callee) {
    ExpressionPtr node = make(Expression::Call, std::move(callee));
    node->arguments = parseArguments();
    return node;
  }

  ExpressionPtr parseSubscript(ExpressionPtr node) {
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

  CallArguments parseArguments() {
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

  std::string parseDottedName() {
    std::string name = expectName();
    while (skipOperator("."))
      name += "." + expectName();
    return name;
  }

  // What is unknown fails at once, but in a branch that may not be taken only when it is.
  void checkKnown(bool isKnown, const char *what, const std::string &name) {
    if (!isKnown && conditions == 0)
      refuse(std::string("No ") + what + " named '" + name + "'.");
  }

  ExpressionPtr parseFilter(ExpressionPtr node) {
    ExpressionPtr filter = make(Expression::Filter, std::move(node));
    filter->name = parseDottedName();
    checkKnown(findFilter(filter->name) != nullptr, "filter", filter->name);
    if (isOperator("("))
      filter->arguments = parseArguments();
    return filter;
  }

  ExpressionPtr parseTest(ExpressionPtr node) {
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

  ExpressionPtr parseFilters(ExpressionPtr node) {
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

  //===--------------------------------------------------------------------===//
  // Statements
  //===--------------------------------------------------------------------===//

  std::unique_ptr<Statement> makeStatement(Statement::Kind kind) {
    auto node = std::make_unique<Statement>();
    node->kind = kind;
    node->line = peek().line;
    return node;
  }

  [[noreturn]] void refuseTag(const std::vector<const char *> &ends) {
    std::string looked;
    for (const char *end : ends)
      looked += (looked.empty() ? "'" : " or '") + std::string(end) + "'";
    if (!looked.empty())
      looked = " Jinja was looking for the following tags: " + looked + ".";
    if (peek().kind == TokenKind::End)
      refuse("Unexpected end of template." + looked);
    refuse("Encountered unknown tag '" + peek(1).text + "'." + looked);
  }

  // Up to a tag of `ends`, whose BlockBegin is next; without ends to the end of the template.
  Body parseBody(const std::vector<const char *> &ends) {
    Level level(*this);
    Body body;
    for (;;) {
      const Token &token = peek();
      if (token.kind == TokenKind::End) {
        if (!ends.empty())
          refuseTag(ends);
        return body;
      }
      if (token.kind == TokenKind::Text) {
        body.push_back(makeStatement(Statement::Output));
        body.back()->text = take().text;
      } else if (token.kind == TokenKind::PrintBegin) {
        take();
        body.push_back(makeStatement(Statement::Print));
        body.back()->expression = parseTuple(true, false);
        if (peek().kind != TokenKind::PrintEnd)
          refuseToken("token 'end of print statement'");
        take();
      } else {
        for (const char *end : ends)
          if (isName(end, 1))
            return body;
        if (peek(1).kind != TokenKind::Name) {
          take();
          refuse("tag name expected");
        }
        body.push_back(parseStatement(ends));
      }
    }
  }

  // The body, and the tag that ends it.
  Body parseBlock(const char *end) {
    expectBlockEnd();
    Body body = parseBody({end});
    take();
    take();
    return body;
  }

  Target parseTarget(bool allowsMembers, const char *end) {
    Target target = parseSimpleTarget(allowsMembers);
    if (!isOperator(","))
      return target;
    Target several;
    several.parts.push_back(std::move(target));
    while (skipOperator(",")) {
      if (endsTuple() || isOperator("=") || (end && isName(end)))
        break;
      several.parts.push_back(parseSimpleTarget(allowsMembers));
    }
    return several;
  }

  Target parseSimpleTarget(bool allowsMembers) {
    Level level(*this);
    Target target;
    if (skipOperator("(")) {
      target = parseTarget(allowsMembers, nullptr);
      expectOperator(")");
      return target;
    }
    if (peek().kind == TokenKind::Integer || peek().kind == TokenKind::Float ||
        peek().kind == TokenKind::String)
      refuse("can't assign to 'const'");
    if (peek().kind == TokenKind::BlockEnd)
      refuse("Expected an expression, got '" + describe(peek()) + "'");
    target.name = expectName();
    for (const char *known : {"true", "false", "none", "True", "False", "None"})
      if (target.name == known)
        refuse("can't assign to 'const'");
    if (isOperator(".")) {
      if (!allowsMembers)
        refuseToken("token 'in'");
      take();
      target.member = expectName();
    }
    return target;
  }

  std::vector<Parameter> parseParameters() {
    std::vector<Parameter> parameters;
    expectOperator("(");
    while (!isOperator(")")) {
      if (!parameters.empty())
        expectOperator(",");
      Parameter parameter;
      parameter.name = expectName();
      if (skipOperator("="))
        parameter.otherwise = parseExpression();
      else if (!parameters.empty() && parameters.back().otherwise)
        refuse("non-default argument follows default argument");
      parameters.push_back(std::move(parameter));
    }
    take();
    return parameters;
  }

  std::unique_ptr<Statement> parseIf() {
    auto node = makeStatement(Statement::If);
    ++conditions;
    for (;;) {
      ExpressionPtr condition = parseTuple(false, false);
      expectBlockEnd();
      node->branches.emplace_back(std::move(condition), parseBody({"elif", "else", "endif"}));
      take();
      std::string tag = take().text;
      if (tag == "elif")
        continue;
      if (tag == "else")
        node->otherwise = parseBlock("endif");
      break;
    }
    --conditions;
    return node;
  }

  std::unique_ptr<Statement> parseFor() {
    auto node = makeStatement(Statement::For);
    node->target = parseTarget(false, "in");
    if (!skipName("in"))
      refuseToken("token 'in'");
    node->expression = parseTuple(false, false, "recursive");
    if (skipName("if"))
      node->condition = parseExpression();
    node->isRecursive = skipName("recursive");
    expectBlockEnd();
    ++loops;
    node->body = parseBody({"endfor", "else"});
    --loops;
    take();
    if (take().text == "else")
      node->otherwise = parseBlock("endfor");
    return node;
  }

  std::unique_ptr<Statement> parseSet() {
    auto node = makeStatement(Statement::Set);
    node->target = parseTarget(true, nullptr);
    if (skipOperator("=")) {
      node->expression = parseTuple(true, false);
      return node;
    }
    node->kind = Statement::SetBlock;
    if (isOperator("|"))
      node->expression = parseFilterChain(true);
    node->body = parseBlock("endset");
    return node;
  }

  // Filters of what a block gives.
  ExpressionPtr parseFilterChain(bool withBar) {
    if (withBar)
      expectOperator("|");
    ExpressionPtr node = parseFilter(nullptr);
    while (skipOperator("|"))
      node = parseFilter(std::move(node));
    return node;
  }

  std::unique_ptr<Statement> parseStatement(const std::vector<const char *> &ends) {
    static const char *const kKnown[] = {
        "if",       "for",   "set",        "macro", "call",    "filter", "with", "break",
        "continue", "block", "generation", "print", "include", "import", "from", "extends"};
    if (std::none_of(std::begin(kKnown), std::end(kKnown),
                     [&](const char *known) { return isName(known, 1); }))
      refuseTag(ends);
    take();
    std::string tag = take().text;
    std::unique_ptr<Statement> node;
    if (tag == "if") {
      node = parseIf();
    } else if (tag == "for") {
      node = parseFor();
    } else if (tag == "set") {
      node = parseSet();
    } else if (tag == "print") {
      node = makeStatement(Statement::Print);
      node->expression = parseTuple(true, false);
    } else if (tag == "break" || tag == "continue") {
      node = makeStatement(tag == "break" ? Statement::Break : Statement::Continue);
      if (loops == 0) {
        node->kind = Statement::Unavailable;
        node->text = "'" + tag + "' outside loop";
      }
    } else if (tag == "macro" || tag == "call") {
      node = makeStatement(tag == "macro" ? Statement::Macro : Statement::CallBlock);
      int outside = std::exchange(loops, 0);
      Statement *outer = std::exchange(macro, node.get());
      if (tag == "macro")
        node->text = expectName();
      if (tag == "macro" || isOperator("("))
        node->parameters = parseParameters();
      if (tag == "call") {
        node->expression = parseExpression();
        if (node->expression->kind != Expression::Call)
          refuse("expected call");
      }
      node->body = parseBlock(tag == "macro" ? "endmacro" : "endcall");
      loops = outside;
      macro = outer;
    } else if (tag == "filter") {
      node = makeStatement(Statement::FilterBlock);
      node->expression = parseFilterChain(false);
      node->body = parseBlock("endfilter");
    } else if (tag == "with") {
      node = makeStatement(Statement::With);
      while (peek().kind != TokenKind::BlockEnd) {
        if (!node->settings.empty())
          expectOperator(",");
        Target target = parseSimpleTarget(false);
        expectOperator("=");
        node->settings.emplace_back(std::move(target), parseExpression());
      }
      node->body = parseBlock("endwith");
    } else if (tag == "block" || tag == "generation") {
      node = makeStatement(Statement::Scope);
      if (tag == "block")
        expectName();
      node->body = parseBlock(tag == "block" ? "endblock" : "endgeneration");
    } else {
      node = makeStatement(Statement::Unavailable);
      node->text = "'" + tag + "': no other templates can be reached";
      while (peek().kind != TokenKind::BlockEnd && peek().kind != TokenKind::End)
        take();
    }
    expectBlockEnd();
    return node;
  }

  std::vector<Token> tokens;
  size_t next = 0;
  int depth = 0, conditions = 0, loops = 0;
  Statement *macro = nullptr; // whose body is being parsed
};

} // namespace

Body parse(std::string_view source) { return Parser(source).parseTemplate(); }

} // namespace pianola::templates
