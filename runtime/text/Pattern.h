// Pattern.h - what tokenizers look for in text: texts, and regular expressions.
//
// Expressions are PCRE2's, with Unicode properties and JIT. Tokenizers are written for Oniguruma,
// whose classes differ (\s, \w and what stands on them): those are rewritten, and what else it
// would read otherwise is refused, never guessed.
#ifndef PIANOLA_RUNTIME_TEXT_PATTERN_H
#define PIANOLA_RUNTIME_TEXT_PATTERN_H

#include "runtime/Status.h"

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace pianola {

class Pattern {
public:
  /// {"Regex": "..."} or {"String": "..."}
  static Result<Pattern> fromJson(const nlohmann::json &json, const std::string &path);
  static Result<Pattern> compile(const std::string &expression);
  /// Matches the text itself; nothing if it is empty.
  static Pattern literal(std::string text);

  /// Calls `found(begin, end)` for each match, from left to right; empty ones too, but not at the
  /// end of the one before. `text` must be UTF-8. An error if the expression takes more than a few
  /// seconds for it.
  Status findAll(std::string_view text, const std::function<void(size_t, size_t)> &found) const;
  /// `content` in place of each match.
  Result<std::string> replaceAll(const std::string &text, const std::string &content) const;

private:
  Status findExpression(std::string_view text,
                        const std::function<void(size_t, size_t)> &found) const;
  std::shared_ptr<void> code; // null: a text
  std::string word;
};

} // namespace pianola

#endif
