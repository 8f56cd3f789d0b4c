// Ast.h - a template as a tree.
#ifndef PIANOLA_RUNTIME_TEMPLATE_AST_H
#define PIANOLA_RUNTIME_TEMPLATE_AST_H

#include "runtime/template/Value.h"

namespace pianola::templates {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr spread, spreadNamed; // *x, **x; or null
};

struct Expression {
  enum Kind {
    Constant,  // value
    Name,      // name
    ListOf,    // parts
    TupleOf,   // parts
    DictOf,    // parts: key, value, key, value ...
    Attribute, // parts[0].name
    Item,      // parts[0][parts[1]]
    Slice,     // parts[0][parts[1]:parts[2]:parts[3]], any of these null
    Call,      // parts[0](arguments)
    Filter,    // parts[0] | name(arguments); parts[0] null: of a filter block
    Test,      // parts[0] is name(arguments)
    Not,
    And,
    Or,
    Negate,
    Plus,
    Binary,  // parts[0] name parts[1]; name is + - * / // % **
    Concat,  // ~ of all parts
    Compare, // parts[0] names[0] parts[1] names[1] parts[2] ...
    If,      // parts[0] if parts[1] else parts[2], which may be null
  };
  Kind kind;
  int line;
  std::string name;
  std::vector<std::string> names;
  Value value;
  std::vector<ExpressionPtr> parts;
  CallArguments arguments;
};

/// What is assigned to: a name, a member of a namespace, or several of these.
struct Target {
  std::string name, member;
  std::vector<Target> parts; // if not empty, neither of the above
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Parameter {
  std::string name;
  ExpressionPtr otherwise; // or null
};

struct Statement {
  enum Kind {
    Output,      // text
    Print,       // expression
    If,          // conditions with bodies, and otherwise
    For,         // target in expression, if condition: body; otherwise
    Set,         // target = expression
    SetBlock,    // target = body, through expression if that is not null
    Macro,       // name(parameters): body
    CallBlock,   // expression, a call, with body as its caller(parameters)
    FilterBlock, // body through expression
    With,        // names and expressions; body
    Scope,       // body
    Break,
    Continue,
    Unavailable, // fails with text: include and its like
  };
  Kind kind;
  int line;
  std::string text;
  ExpressionPtr expression, condition;
  Target target;
  bool isRecursive = false;                                         // of a For
  bool usesRest = false, usesNamedRest = false, usesCaller = false; // of a Macro
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  std::vector<std::pair<Target, ExpressionPtr>> settings;
  std::vector<Parameter> parameters;
  Body body, otherwise;
};

} // namespace pianola::templates

#endif
