// Expression.h - what grammars are made of before they are compiled.
#ifndef PIANOLA_RUNTIME_GRAMMAR_EXPRESSION_H
#define PIANOLA_RUNTIME_GRAMMAR_EXPRESSION_H

#include "runtime/grammar/CodeSet.h"

#include <string>
#include <utility>
#include <vector>

namespace pianola::grammar {

inline constexpr uint32_t kUnbounded = UINT32_MAX;
/// What is to be repeated more often is refused.
inline constexpr uint32_t kMostRepeats = 20000;

struct Expression {
  enum Kind {
    Text,     // these bytes
    Class,    // one of these characters
    Sequence, // all parts in order
    Choice,   // one of the parts; of none, nothing matches
    Repeat,   // the one part, from `least` to `most` times
    Rule,     // what the rule says
  };
  Kind kind = Sequence;
  std::string text;
  CodeSet codes;
  std::vector<Expression> parts;
  uint32_t least = 0, most = 0;
  uint32_t rule = 0;
};

inline Expression textOf(std::string text) {
  Expression made;
  made.kind = Expression::Text;
  made.text = std::move(text);
  return made;
}
inline Expression classOf(CodeSet codes) {
  Expression made;
  made.kind = Expression::Class;
  made.codes = std::move(codes);
  return made;
}
inline Expression sequenceOf(std::vector<Expression> parts) {
  Expression made;
  made.parts = std::move(parts);
  return made;
}
inline Expression choiceOf(std::vector<Expression> parts) {
  Expression made;
  made.kind = Expression::Choice;
  made.parts = std::move(parts);
  return made;
}
inline Expression repeatOf(Expression part, uint32_t least, uint32_t most) {
  Expression made;
  made.kind = Expression::Repeat;
  made.parts.push_back(std::move(part));
  made.least = least;
  made.most = most;
  return made;
}
inline Expression optional(Expression part) { return repeatOf(std::move(part), 0, 1); }
inline Expression ruleOf(uint32_t rule) {
  Expression made;
  made.kind = Expression::Rule;
  made.rule = rule;
  return made;
}
/// What no text matches.
inline Expression nothing() { return choiceOf({}); }

/// The first rule is where texts begin.
struct Rules {
  struct Rule {
    std::string name; // for errors, with where it stands
    Expression body = nothing();
  };
  std::vector<Rule> rules;

  uint32_t add(std::string name, Expression body = nothing()) {
    rules.push_back({std::move(name), std::move(body)});
    return static_cast<uint32_t>(rules.size() - 1);
  }
};

} // namespace pianola::grammar

#endif
