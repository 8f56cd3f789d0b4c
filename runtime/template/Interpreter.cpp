// Interpreter.cpp - renders a tree: its statements.
#include "runtime/template/Interpreter.h"

#include "runtime/template/Filters.h"

#include <algorithm>
#include <utility>

namespace pianola::templates {

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

} // namespace pianola::templates
