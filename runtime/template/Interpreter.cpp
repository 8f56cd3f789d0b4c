// Interpreter.cpp - renders a tree.
#include "runtime/template/Interpreter.h"

#include "runtime/template/Filters.h"

#include <algorithm>
#include <utility>

namespace pianola::templates {

void failUndefined(const Undefined &undefined) { fail(undefined.message, undefined.kind); }

class Interpreter::Level {
public:
  explicit Level(Interpreter &interpreter) : interpreter(interpreter) {
    if (++interpreter.depth > interpreter.limits.depth)
      fail("maximum recursion depth exceeded", FailureKind::Limit);
  }
  ~Level() { --interpreter.depth; }

private:
  Interpreter &interpreter;
};

namespace {

// Makes a scope the innermost while it lives.
class Inner {
public:
  Inner(ScopePtr &current, ScopePtr outer) : current(current), saved(current) {
    current = std::make_shared<Scope>();
    current->outer = std::move(outer);
  }
  explicit Inner(ScopePtr &current) : Inner(current, current) {}
  ~Inner() { current = saved; }

private:
  ScopePtr &current;
  ScopePtr saved;
};

} // namespace

void Interpreter::charge(size_t size) {
  steps += 1 + size / 16;
  if (steps > limits.steps)
    fail("the template takes more than " + std::to_string(limits.steps) + " steps",
         FailureKind::Limit);
}

void Interpreter::chargeText(size_t bytes) {
  if (bytes > limits.bytes)
    fail("the template makes a text of more than " + std::to_string(limits.bytes) + " bytes",
         FailureKind::Limit);
  charge(bytes / 4);
}

Interpreter::~Interpreter() {
  for (const Namespace &space : namespaces)
    space.members->clear();
}

Text Interpreter::render(const Body &body, ScopePtr variables) {
  scope = std::move(variables);
  Text out;
  run(body, out);
  return out;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

Interpreter::Flow Interpreter::run(const Body &body, Text &out) {
  for (const auto &statement : body)
    if (Flow flow = run(*statement, out); flow != Flow::Next)
      return flow;
  return Flow::Next;
}

void Interpreter::print(const Value &value, Text &out) {
  if (const Undefined *undefined = value.as<Undefined>();
      undefined && undefined->kind == FailureKind::Security)
    return;
  Text text = value.str();
  chargeText(out.size() + text.size());
  steps -= out.size() / 64; // what is there already is not copied
  out.append(text);
}

// A block's text, in a scope of its own.
Text Interpreter::runBlock(const Body &body) {
  Inner inner(scope);
  Text out;
  run(body, out);
  return out;
}

void Interpreter::assign(const Target &target, const Value &value) {
  if (!target.parts.empty()) {
    Items items = iterate(value);
    if (items.size() != target.parts.size())
      fail(items.size() < target.parts.size()
               ? "not enough values to unpack (expected " + std::to_string(target.parts.size()) +
                     ", got " + std::to_string(items.size()) + ")"
               : "too many values to unpack (expected " + std::to_string(target.parts.size()) +
                     ")");
    for (size_t i = 0; i < items.size(); ++i)
      assign(target.parts[i], items[i]);
    return;
  }
  if (target.member.empty()) {
    scope->names[target.name] = value;
    return;
  }
  Value object = evaluateName(target.name);
  const Namespace *space = object.as<Namespace>();
  if (!space)
    fail("cannot assign attribute on non-namespace object");
  if (target.member[0] == '_')
    fail("names in a namespace must not begin with an underscore", FailureKind::Security);
  for (auto &[name, member] : *space->members)
    if (name == target.member) {
      member = value;
      return;
    }
  space->members->emplace_back(target.member, value);
}

// `{{ loop }}` and its members.
static Value makeLoop(std::shared_ptr<const Items> items, size_t at, int depth,
                      std::shared_ptr<std::optional<Value>> last,
                      std::function<Value(Interpreter &, Arguments)> recurse) {
  auto loop = std::make_shared<Callable>();
  loop->name = "loop";
  loop->call = std::move(recurse);
  loop->member = [=](const std::string &name) -> Value {
    auto count = static_cast<Integer>(items->size()), index = static_cast<Integer>(at);
    if (name == "index")
      return Value::integer(index + 1);
    if (name == "index0")
      return Value::integer(index);
    if (name == "revindex")
      return Value::integer(count - index);
    if (name == "revindex0")
      return Value::integer(count - index - 1);
    if (name == "first")
      return at == 0;
    if (name == "last")
      return at + 1 == items->size();
    if (name == "length")
      return Value::integer(count);
    if (name == "depth" || name == "depth0")
      return Value::integer(depth + (name == "depth"));
    if (name == "previtem")
      return at == 0 ? Value::undefined("there is no previous item") : (*items)[at - 1];
    if (name == "nextitem")
      return at + 1 == items->size() ? Value::undefined("there is no next item") : (*items)[at + 1];
    auto method = std::make_shared<Callable>();
    method->name = name;
    if (name == "cycle")
      method->call = [=](Interpreter &, Arguments arguments) -> Value {
        if (arguments.positional.empty())
          fail("no items for cycling given");
        return arguments.positional[at % arguments.positional.size()];
      };
    else if (name == "changed")
      method->call = [=](Interpreter &, Arguments arguments) -> Value {
        Value given = Value::tuple(std::move(arguments.positional));
        bool isNew = !*last || !equal(**last, given);
        *last = given;
        return isNew;
      };
    else
      return Value::undefined("'loop' has no attribute '" + name + "'");
    return Function(method);
  };
  return Function(loop);
}

Interpreter::Flow Interpreter::runFor(const Statement &statement, const Value &over, Text &out,
                                      int loopDepth) {
  ScopePtr outside = scope;
  Items all = iterate(over);
  charge(all.size());
  if (statement.condition) {
    Items chosen;
    Inner inner(scope);
    for (const Value &item : all) {
      assign(statement.target, item);
      if (evaluate(*statement.condition).isTrue())
        chosen.push_back(item);
    }
    all = std::move(chosen);
  }
  auto items = std::make_shared<const Items>(std::move(all));
  auto last = std::make_shared<std::optional<Value>>();
  std::function<Value(Interpreter &, Arguments)> recurse;
  if (statement.isRecursive)
    recurse = [&statement, outside, loopDepth](Interpreter &self, Arguments arguments) -> Value {
      if (arguments.positional.size() != 1)
        fail("loop() takes what to go through");
      Level level(self);
      ScopePtr caller = std::exchange(self.scope, outside);
      Text text;
      try {
        self.runFor(statement, arguments.positional[0], text, loopDepth + 1);
      } catch (...) {
        self.scope = caller;
        throw;
      }
      self.scope = caller;
      return text;
    };
  bool isDone = false;
  {
    Inner inner(scope);
    for (size_t i = 0; i < items->size(); ++i) {
      charge();
      scope->names["loop"] = makeLoop(items, i, loopDepth, last, recurse);
      assign(statement.target, (*items)[i]);
      Flow flow = run(statement.body, out);
      if (flow == Flow::Break)
        break;
      // As in Jinja: what is left by break or continue before its end counts as no pass.
      isDone |= flow == Flow::Next;
    }
  }
  if (!isDone) {
    Inner inner(scope);
    return run(statement.otherwise, out);
  }
  return Flow::Next;
}

Value Interpreter::makeMacro(const Statement &statement, std::string name) {
  auto macro = std::make_shared<Callable>();
  macro->name = name;
  // A scope that holds its macros, which hold it, would never be freed: the scope is held weakly
  // where it outlives them, which the interpreter's does.
  std::weak_ptr<Scope> home = scope;
  macro->call = [this, &statement, home](Interpreter &, Arguments arguments) {
    ScopePtr there = home.lock();
    return callMacro(statement, there ? there : scope, std::move(arguments));
  };
  macro->member = [&statement, name](const std::string &member) -> Value {
    if (member == "name")
      return name;
    if (member == "arguments") {
      Items names;
      for (const Parameter &parameter : statement.parameters)
        names.push_back(parameter.name);
      return Value::tuple(std::move(names));
    }
    return Value::undefined("'macro' has no attribute '" + member + "'");
  };
  return Function(macro);
}

Value Interpreter::callMacro(const Statement &statement, const ScopePtr &home,
                             Arguments arguments) {
  Level level(*this);
  const std::string name = statement.kind == Statement::Macro ? statement.text : "caller";
  const std::vector<Parameter> &parameters = statement.parameters;
  Inner inner(scope, home);
  Items rest;
  for (size_t i = 0; i < arguments.positional.size(); ++i)
    if (i < parameters.size())
      scope->names[parameters[i].name] = arguments.positional[i];
    else
      rest.push_back(arguments.positional[i]);
  if (!rest.empty() && !statement.usesRest)
    fail("macro '" + name + "' takes not more than " + std::to_string(parameters.size()) +
         " argument(s)");
  std::vector<Entry> namedRest;
  for (auto &[key, value] : arguments.named) {
    bool isParameter = false;
    for (size_t i = 0; i < parameters.size(); ++i)
      isParameter |= parameters[i].name == key && i >= arguments.positional.size();
    if (isParameter || (key == "caller" && statement.usesCaller))
      scope->names[key] = value;
    else if (statement.usesNamedRest)
      namedRest.emplace_back(key, value);
    else
      fail("macro '" + name + "' takes no keyword argument '" + key + "'");
  }
  for (const Parameter &parameter : parameters)
    if (!scope->names.count(parameter.name))
      scope->names[parameter.name] =
          parameter.otherwise
              ? evaluate(*parameter.otherwise)
              : Value::undefined("parameter '" + parameter.name + "' was not provided");
  if (statement.usesRest)
    scope->names["varargs"] = Value::tuple(std::move(rest));
  if (statement.usesNamedRest)
    scope->names["kwargs"] = Value::dict(std::move(namedRest));
  if (statement.usesCaller && !scope->names.count("caller"))
    scope->names["caller"] = Value::undefined("No caller defined");
  Text out;
  run(statement.body, out);
  return out;
}

Interpreter::Flow Interpreter::run(const Statement &statement, Text &out) {
  Level level(*this);
  charge();
  switch (statement.kind) {
  case Statement::Output:
    print(statement.text, out);
    return Flow::Next;
  case Statement::Print:
    print(evaluate(*statement.expression), out);
    return Flow::Next;
  case Statement::If:
    for (const auto &[condition, body] : statement.branches)
      if (evaluate(*condition).isTrue())
        return run(body, out);
    return run(statement.otherwise, out);
  case Statement::For:
    return runFor(statement, evaluate(*statement.expression), out, 0);
  case Statement::Set:
    assign(statement.target, evaluate(*statement.expression));
    return Flow::Next;
  case Statement::SetBlock: {
    Value block = runBlock(statement.body);
    assign(statement.target,
           statement.expression ? evaluateBlockFilter(*statement.expression, block) : block);
    return Flow::Next;
  }
  case Statement::Macro:
    scope->names[statement.text] = makeMacro(statement, statement.text);
    return Flow::Next;
  case Statement::CallBlock: {
    const Expression &call = *statement.expression;
    Value callee = evaluate(*call.parts[0]);
    Arguments arguments = evaluateArguments(call.arguments);
    arguments.named.emplace_back("caller", makeMacro(statement, "caller"));
    print(this->call(callee, std::move(arguments)), out);
    return Flow::Next;
  }
  case Statement::FilterBlock:
    print(evaluateBlockFilter(*statement.expression, runBlock(statement.body)), out);
    return Flow::Next;
  case Statement::With: {
    std::vector<Value> values;
    for (const auto &[target, expression] : statement.settings)
      values.push_back(evaluate(*expression));
    Inner inner(scope);
    for (size_t i = 0; i < values.size(); ++i)
      assign(statement.settings[i].first, values[i]);
    return run(statement.body, out);
  }
  case Statement::Scope: {
    Inner inner(scope);
    return run(statement.body, out);
  }
  case Statement::Break:
    return Flow::Break;
  case Statement::Continue:
    return Flow::Continue;
  case Statement::Unavailable:
    fail(statement.text);
  }
  return Flow::Next;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Value Interpreter::evaluateName(const std::string &name) const {
  for (const Scope *at = scope.get(); at; at = at->outer.get())
    if (auto found = at->names.find(name); found != at->names.end())
      return found->second;
  if (std::optional<Value> global = findGlobal(name))
    return *global;
  return Value::undefined("'" + name + "' is undefined");
}

Arguments Interpreter::evaluateArguments(const CallArguments &arguments) {
  Arguments result;
  for (const ExpressionPtr &argument : arguments.positional)
    result.positional.push_back(evaluate(*argument));
  for (const auto &[name, argument] : arguments.named)
    result.named.emplace_back(name, evaluate(*argument));
  if (arguments.spread)
    for (Value &value : iterate(evaluate(*arguments.spread)))
      result.positional.push_back(std::move(value));
  if (arguments.spreadNamed) {
    Value given = evaluate(*arguments.spreadNamed);
    const Dict *dict = given.as<Dict>();
    if (!dict)
      fail("argument after ** must be a mapping");
    for (const auto &[key, value] : *dict->entries) {
      if (!key.text())
        fail("keywords must be strings");
      result.named.emplace_back(key.text()->bytes(), value);
    }
  }
  return result;
}

Value Interpreter::call(const Value &callee, Arguments arguments) {
  Level level(*this);
  charge();
  if (const Undefined *undefined = callee.as<Undefined>())
    failUndefined(*undefined);
  const Function *function = callee.as<Function>();
  if (!function || !(*function)->call)
    fail("'" + std::string(callee.typeName()) + "' object is not callable");
  return (*function)->call(*this, std::move(arguments));
}

static std::string ownerOf(const Value &object) {
  return object.is<None>() ? "'None'" : "'" + std::string(object.typeName()) + " object'";
}

Value Interpreter::attribute(const Value &object, const std::string &name) const {
  if (const Undefined *undefined = object.as<Undefined>())
    failUndefined(*undefined);
  if (const Namespace *space = object.as<Namespace>())
    for (const auto &[member, value] : *space->members)
      if (member == name)
        return value;
  if (const Function *function = object.as<Function>(); function && (*function)->member)
    return (*function)->member(name);
  if (std::optional<Value> method = findMethod(object, name))
    return *method;
  if (const Dict *dict = object.as<Dict>())
    if (const Value *value = dict->find(name))
      return *value;
  return Value::undefined(ownerOf(object) + " has no attribute '" + name + "'");
}

Value Interpreter::item(const Value &object, const Value &key) const {
  if (const Undefined *undefined = object.as<Undefined>())
    failUndefined(*undefined);
  if (const Dict *dict = object.as<Dict>()) {
    if (const Value *value = dict->find(key))
      return *value;
  } else if (std::optional<Integer> index = key.asInteger();
             index && (object.items() || object.text() || object.is<Range>())) {
    auto size = static_cast<Integer>(length(object));
    Integer at = *index < 0 ? *index + size : *index;
    if (at < 0 || at >= size)
      return Value::undefined(ownerOf(object) + " has no element " + formatInteger(*index));
    if (const Items *items = object.items())
      return (*items)[static_cast<size_t>(at)];
    if (const Range *range = object.as<Range>())
      return Value::integer(range->begin + at * range->step);
    std::vector<size_t> starts = characterStarts(object.text()->bytes());
    return object.text()->part(starts[static_cast<size_t>(at)],
                               starts[static_cast<size_t>(at) + 1]);
  }
  // What is no item may be an attribute.
  if (const Text *name = key.text())
    return attribute(object, name->bytes());
  return Value::undefined(ownerOf(object) + " has no element " + key.repr().bytes());
}

Value Interpreter::filter(const std::string &name, const Value &self, const Arguments &arguments) {
  charge();
  FilterFunction function = findFilter(name);
  if (!function)
    fail("No filter named '" + name + "'.");
  return function(*this, self, arguments);
}

bool Interpreter::test(const std::string &name, const Value &self, const Arguments &arguments) {
  charge();
  TestFunction function = findTest(name);
  if (!function)
    fail("No test named '" + name + "'.");
  return function(*this, self, arguments);
}

Value Interpreter::evaluateBlockFilter(const Expression &chain, const Value &block) {
  Value self = chain.parts[0] ? evaluateBlockFilter(*chain.parts[0], block) : block;
  return filter(chain.name, self, evaluateArguments(chain.arguments));
}

Value Interpreter::evaluateCompare(const Expression &expression) {
  Value left = evaluate(*expression.parts[0]);
  for (size_t i = 0; i < expression.names.size(); ++i) {
    const std::string &sign = expression.names[i];
    Value right = evaluate(*expression.parts[i + 1]);
    bool holds = sign == "=="       ? equal(left, right)
                 : sign == "!="     ? !equal(left, right)
                 : sign == "in"     ? contains(right, left)
                 : sign == "not in" ? !contains(right, left)
                 : sign == "<"      ? compare(left, right, "<") < 0
                 : sign == ">"      ? compare(left, right, ">") > 0
                 : sign == "<="     ? compare(left, right, "<=") <= 0
                                    : compare(left, right, ">=") >= 0;
    if (!holds)
      return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate(const Expression &expression) {
  Level level(*this);
  charge();
  auto part = [&](size_t i) { return evaluate(*expression.parts[i]); };
  switch (expression.kind) {
  case Expression::Constant:
    return expression.value;
  case Expression::Name:
    return evaluateName(expression.name);
  case Expression::ListOf:
  case Expression::TupleOf: {
    Items items;
    for (const ExpressionPtr &item : expression.parts)
      items.push_back(evaluate(*item));
    return expression.kind == Expression::ListOf ? Value::list(std::move(items))
                                                 : Value::tuple(std::move(items));
  }
  case Expression::DictOf: {
    std::vector<Entry> entries;
    for (size_t i = 0; i < expression.parts.size(); i += 2) {
      Value key = part(i), value = part(i + 1);
      if (!key.isHashable())
        fail("unhashable type: '" + std::string(key.typeName()) + "'");
      auto known = std::find_if(entries.begin(), entries.end(),
                                [&](const Entry &entry) { return equal(entry.first, key); });
      if (known != entries.end())
        known->second = std::move(value);
      else
        entries.emplace_back(std::move(key), std::move(value));
    }
    return Value::dict(std::move(entries));
  }
  case Expression::Attribute:
    return attribute(part(0), expression.name);
  case Expression::Item: {
    Value object = part(0), key = part(1);
    charge(object.text() ? object.text()->size() : 0);
    return item(object, key);
  }
  case Expression::Slice: {
    Value bounds[3], object = part(0);
    for (size_t i = 0; i < 3; ++i)
      if (expression.parts[i + 1])
        bounds[i] = part(i + 1);
    if (const Text *text = object.text())
      chargeText(text->size());
    return slice(object, bounds[0], bounds[1], bounds[2]);
  }
  case Expression::Call: {
    Value callee = part(0);
    return call(callee, evaluateArguments(expression.arguments));
  }
  case Expression::Filter: {
    Value self = part(0);
    return filter(expression.name, self, evaluateArguments(expression.arguments));
  }
  case Expression::Test: {
    Value self = part(0);
    return test(expression.name, self, evaluateArguments(expression.arguments));
  }
  case Expression::Not:
    return !part(0).isTrue();
  case Expression::And:
  case Expression::Or: {
    Value left = part(0);
    return left.isTrue() == (expression.kind == Expression::Or) ? left : part(1);
  }
  case Expression::Negate:
  case Expression::Plus: {
    Value value = part(0);
    bool isNegative = expression.kind == Expression::Negate;
    if (const Undefined *undefined = value.as<Undefined>())
      failUndefined(*undefined);
    if (std::optional<Integer> integer = value.asInteger())
      return Value::integer(isNegative ? -*integer : *integer);
    if (const double *number = value.as<double>())
      return isNegative ? -*number : *number;
    fail(std::string("bad operand type for unary ") + (isNegative ? "-" : "+") + ": '" +
         value.typeName() + "'");
  }
  case Expression::Binary: {
    Value left = part(0), right = part(1);
    return binary(*this, expression.name, left, right);
  }
  case Expression::Concat: {
    Text text;
    for (size_t i = 0; i < expression.parts.size(); ++i) {
      Value value = part(i);
      Text more = value.str();
      chargeText(text.size() + more.size());
      text.append(more);
    }
    return text;
  }
  case Expression::Compare:
    return evaluateCompare(expression);
  case Expression::If:
    if (part(1).isTrue())
      return part(0);
    if (expression.parts[2])
      return part(2);
    return Value::undefined("the inline if-expression on line " + std::to_string(expression.line) +
                            " evaluated to false and no else section was defined.");
  }
  return Value();
}

} // namespace pianola::templates
