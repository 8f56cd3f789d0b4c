// Pattern.h - regular expressions as tokenizers write them.
//
// PCRE2 with Unicode properties and JIT, and a limit on the work of one match. `\s` of the
// tokenizers' own engine is White_Space, which PCRE2's is not quite (it takes in U+180E), so it is
// rewritten.
#ifndef PIANOLA_RUNTIME_TEXT_PATTERN_H
#define PIANOLA_RUNTIME_TEXT_PATTERN_H

#include "runtime/Status.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pianola {

class Pattern {
public:
  static Result<Pattern> compile(const std::string &expression);
  /// Matches the text itself.
  static Result<Pattern> literal(const std::string &text);

  /// Calls `found(begin, end)` for each match, from left to right. `text` must be valid UTF-8.
  Status findAll(std::string_view text, const std::function<void(size_t, size_t)> &found) const;

private:
  std::shared_ptr<void> code;
};

} // namespace pianola

#endif
