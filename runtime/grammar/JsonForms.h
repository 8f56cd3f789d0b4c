// JsonForms.h - how JSON is written here.
//
//   {"a": 1, "b": [2, 3]}
//
// After an opening bracket, before a closing one and after a comma there may be one space, or a
// line end and at most 40 spaces or 10 tabs; after a colon one space. That takes in what is
// compact, what Python writes, and what is indented; and nobody can go on for ever with white
// space.
#ifndef PIANOLA_RUNTIME_GRAMMAR_JSONFORMS_H
#define PIANOLA_RUNTIME_GRAMMAR_JSONFORMS_H

#include "runtime/grammar/Expression.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace pianola::grammar {

/// Expressions that are made of a few rules, which are added to `rules` when they are needed first.
class JsonForms {
public:
  explicit JsonForms(Rules &rules) : rules(rules) {}

  Expression space();
  /// Between members of objects and items of arrays.
  Expression comma() { return sequenceOf({textOf(","), space()}); }
  /// Between a member's name and its value.
  static Expression colon() { return textsOf({":", ": "}); }
  /// The brackets and what stands in them, if something does.
  Expression around(const char *open, Expression body, const char *close);

  /// Characters of strings, each written in any way.
  Expression characters(uint32_t least, uint32_t most);
  Expression string(uint32_t least = 0, uint32_t most = kUnbounded);
  Expression boolean() { return textsOf({"true", "false"}); }
  /// Any JSON, any object, any array.
  Expression value();
  Expression object();
  Expression array();

  /// A value as it is written when there is no choice.
  static std::string write(const nlohmann::ordered_json &value);
  /// A name in quotation marks that is none of `names`, and has no escapes.
  static Expression nameOtherThan(std::vector<std::string> names);

private:
  static Expression textsOf(std::initializer_list<const char *> texts);
  Expression once(std::optional<uint32_t> &rule, const char *name,
                  const std::function<Expression()> &make);

  Rules &rules;
  std::optional<uint32_t> spaceRule, characterRule, valueRule, objectRule, arrayRule;
};

} // namespace pianola::grammar

#endif
