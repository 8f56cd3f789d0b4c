// Interpreter.h - renders a tree.
#ifndef PIANOLA_RUNTIME_TEMPLATE_INTERPRETER_H
#define PIANOLA_RUNTIME_TEMPLATE_INTERPRETER_H

#include "runtime/template/Ast.h"

#include <ctime>
#include <map>

namespace pianola::templates {

struct Limits {
  uint64_t steps = 10'000'000;     // of evaluation; longer texts and lists take several
  size_t bytes = size_t(64) << 20; // of the rendering, and of any text on the way
  int depth = 1000;                // of expressions, statements and calls in each other
};

/// Variables, innermost first. A loop, a macro's call and most blocks have a scope of their own.
struct Scope {
  std::map<std::string, Value, std::less<>> names;
  std::shared_ptr<Scope> outer;
};
using ScopePtr = std::shared_ptr<Scope>;

class Interpreter {
public:
  Interpreter(const Limits &limits, std::tm now) : limits(limits), now(now) {}

  /// Throws a Failure.
  Text render(const Body &body, ScopePtr variables);

  /// What callables, filters and tests use.
  Value call(const Value &callee, Arguments arguments);
  Value attribute(const Value &object, const std::string &name) const;
  Value item(const Value &object, const Value &key) const;
  Value filter(const std::string &name, const Value &self, const Arguments &arguments);
  bool test(const std::string &name, const Value &self, const Arguments &arguments);
  /// Takes steps for `size` bytes or items of work; fails when there are no more.
  void charge(size_t size = 0);
  /// The same for a text that is about to be made.
  void chargeText(size_t bytes);
  const std::tm &clock() const { return now; }
  /// Namespaces may hold each other, and themselves: they are emptied at the end.
  void keep(const Namespace &space) { namespaces.push_back(space); }
  ~Interpreter();

private:
  enum class Flow { Next, Break, Continue };
  // Counts how deep the interpreter is while it lives.
  class Level {
  public:
    explicit Level(Interpreter &interpreter) : interpreter(interpreter) {
      if (++interpreter.depth > interpreter.limits.depth)
        fail("maximum recursion depth exceeded", FailureKind::Limit);
    }
    ~Level() { --interpreter.depth; }

  private:
    Interpreter &interpreter;
  };

  Flow run(const Body &body, Text &out);
  Flow run(const Statement &statement, Text &out);
  Flow runFor(const Statement &statement, const Value &over, Text &out, int depth);
  void runMacro(const Statement &statement);
  Value callMacro(const Statement &statement, const ScopePtr &scope, Arguments arguments);
  Text runBlock(const Body &body);
  Value makeMacro(const Statement &statement, std::string name);
  void assign(const Target &target, const Value &value);
  void print(const Value &value, Text &out);

  Value evaluate(const Expression &expression);
  Value evaluateName(const std::string &name) const;
  Value evaluateCompare(const Expression &expression);
  Value evaluateSlice(const Expression &expression);
  Value evaluateFilter(const Expression &expression, const Value &self);
  Value evaluateBlockFilter(const Expression &chain, const Value &block);
  Arguments evaluateArguments(const CallArguments &arguments);

  const Limits limits;
  const std::tm now;
  uint64_t steps = 0;
  int depth = 0;
  ScopePtr scope;
  std::vector<Namespace> namespaces;
};

/// a + b and the like; `sign` is + - * / // % or **.
Value binary(Interpreter &interpreter, const std::string &sign, const Value &a, const Value &b);
/// a in b
bool contains(const Value &container, const Value &value);
Value slice(const Value &value, const Value &begin, const Value &end, const Value &step);
/// range(), dict(), namespace(), raise_exception() and the like; nothing if there is none.
std::optional<Value> findGlobal(const std::string &name);
[[noreturn]] void failUndefined(const Undefined &undefined);

} // namespace pianola::templates

#endif
