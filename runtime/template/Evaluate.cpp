// Evaluate.cpp - what the expressions of a tree come to.
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"

#include <algorithm>

namespace pianola::templates {

void failUndefined(const Undefined &undefined) { fail(undefined.message, undefined.kind); }

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
    if (std::optional<Integer> integer = value.asInteger()) {
      if (isNegative && __builtin_sub_overflow(Integer(0), *integer, &*integer))
        fail("integers are supported up to 2**127", FailureKind::Limit);
      return Value::integer(*integer);
    }
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
