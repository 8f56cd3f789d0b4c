// StringPattern.h - regular expressions for strings of JSON.
#ifndef PIANOLA_RUNTIME_GRAMMAR_STRINGPATTERN_H
#define PIANOLA_RUNTIME_GRAMMAR_STRINGPATTERN_H

#include "runtime/grammar/Expression.h"

#include <optional>
#include <string_view>

namespace pianola::grammar {

/// How many characters the texts of an expression have.
struct Lengths {
  uint64_t least, most; // UINT64_MAX: there is no most
};

struct StringPattern {
  /// Of what stands between the quotation marks, escaped as JSON wants it.
  Expression body;
  Lengths lengths;
};

/// ECMA 262's regular expressions, but for what is not regular. `anything` is the expression for
/// any text, for patterns without anchors. Throws a Refusal.
StringPattern parsePattern(std::string_view pattern, const Expression &anything);

/// The pattern of a `format`; null if there is none.
const char *patternOfFormat(std::string_view format);

/// Any of these characters as it is written in a string of JSON.
Expression writtenClass(const CodeSet &codes);

} // namespace pianola::grammar

#endif
