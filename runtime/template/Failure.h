// Failure.h - why a template could not be rendered.
//
// Inside of the engine failures are thrown, from wherever in an expression they come up; nothing is
// thrown out of Template's functions.
#ifndef PIANOLA_RUNTIME_TEMPLATE_FAILURE_H
#define PIANOLA_RUNTIME_TEMPLATE_FAILURE_H

#include <string>

namespace pianola::templates {

enum class FailureKind {
  Raised,    // by raise_exception()
  Undefined, // something that is not there was used
  Runtime,   // wrong types, arguments, division by zero
  Security,  // what templates must not do
  Syntax,    // does not parse; an unknown filter, test or tag
  Limit,     // too much work, text or depth
};

struct Failure {
  FailureKind kind;
  std::string message;
};

[[noreturn]] inline void fail(std::string message, FailureKind kind = FailureKind::Runtime) {
  throw Failure{kind, std::move(message)};
}

} // namespace pianola::templates

#endif
