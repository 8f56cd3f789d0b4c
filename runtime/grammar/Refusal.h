// Refusal.h - why a grammar or a schema is not taken.
//
// Inside of this folder refusals are thrown, from however deep in a schema they come up; nothing is
// thrown out of its public functions.
#ifndef PIANOLA_RUNTIME_GRAMMAR_REFUSAL_H
#define PIANOLA_RUNTIME_GRAMMAR_REFUSAL_H

#include <string>
#include <utility>

namespace pianola::grammar {

struct Refusal {
  std::string message;
};

[[noreturn]] inline void refuse(std::string message) { throw Refusal{std::move(message)}; }

} // namespace pianola::grammar

#endif
