// Parser.cpp - tokens to a tree: statements, and what they are made of.
#include "runtime/template/Parser.h"

#include "runtime/template/ExpressionParser.h"

#include <utility>

namespace pianola::templates {

namespace {

class Parser : ExpressionParser {
public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  Body parseTemplate() {
    Body body = parseBody({});
    if (peek().kind != TokenKind::End)
      refuseTag({});
    return body;
  }

private:
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

  int loops = 0; // around what is parsed
};

} // namespace

Body parse(std::string_view source) { return Parser(source).parseTemplate(); }

} // namespace pianola::templates
