// StringPattern.h - regular expressions for strings of JSON.
#ifndef PIANOLA_RUNTIME_GRAMMAR_STRINGPATTERN_H
#define PIANOLA_RUNTIME_GRAMMAR_STRINGPATTERN_H

#include "runtime/grammar/Expression.h"

#include <string_view>

namespace pianola::grammar {

/// How many characters the texts of an expression have.
struct Lengths {
  uint64_t least, most; // UINT64_MAX: there is no most
};

struct StringPattern {
  /// Of the characters that a string has, not of how they are written.
  Expression body;
  Lengths lengths;
};

/// ECMA 262's regular expressions, but for what is not regular. Throws a Refusal.
StringPattern parsePattern(std::string_view pattern);

/// What stands between the quotation marks, escaped as JSON wants it.
Expression written(const Expression &characters);

/// The same, of the texts that have from `least` to `most` characters. Adds rules. Throws a Refusal
/// if they are too many.
Expression writtenWithLength(const Expression &characters, uint32_t least, uint32_t most,
                             Rules &rules);

/// The pattern of a `format`; null if there is none.
const char *patternOfFormat(std::string_view format);

} // namespace pianola::grammar

#endif
