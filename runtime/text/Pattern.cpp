// Pattern.cpp - regular expressions as tokenizers write them.
#include "runtime/text/Pattern.h"

#include "runtime/text/Utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace pianola {

static std::string rewriteSpaces(const std::string &expression) {
  std::string result;
  for (size_t i = 0; i < expression.size(); ++i) {
    if (expression[i] != '\\' || i + 1 == expression.size()) {
      result += expression[i];
      continue;
    }
    char next = expression[++i];
    if (next == 's')
      result += "\\p{White_Space}";
    else if (next == 'S')
      result += "\\P{White_Space}";
    else
      result += {'\\', next};
  }
  return result;
}

static Result<std::shared_ptr<void>> compileCode(const std::string &expression, uint32_t options) {
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code *code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                    options | PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!code) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    return Status::error("the expression cannot be compiled, at character " + std::to_string(at) +
                         ": " + reinterpret_cast<char *>(message));
  }
  // Where there is no JIT the interpreter does the same, slower.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return std::shared_ptr<void>(code,
                               [](void *p) { pcre2_code_free(static_cast<pcre2_code *>(p)); });
}

Result<Pattern> Pattern::compile(const std::string &expression) {
  Result<std::shared_ptr<void>> code = compileCode(rewriteSpaces(expression), 0);
  if (!code)
    return code.status();
  Pattern pattern;
  pattern.code = std::move(*code);
  return pattern;
}

Result<Pattern> Pattern::literal(const std::string &text) {
  Result<std::shared_ptr<void>> code = compileCode(text, PCRE2_LITERAL);
  if (!code)
    return code.status();
  Pattern pattern;
  pattern.code = std::move(*code);
  return pattern;
}

Status Pattern::findAll(std::string_view text,
                        const std::function<void(size_t, size_t)> &found) const {
  auto *compiled = static_cast<const pcre2_code *>(code.get());
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(compiled, nullptr), pcre2_match_data_free);
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (!data || !context)
    return Status::error("out of memory");
  pcre2_set_match_limit(context.get(), 10'000'000);
  for (size_t at = 0; at < text.size();) {
    int count = pcre2_match(compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                            PCRE2_NO_UTF_CHECK, data.get(), context.get());
    if (count == PCRE2_ERROR_NOMATCH)
      break;
    if (count < 0) {
      PCRE2_UCHAR message[256];
      pcre2_get_error_message(count, message, sizeof(message));
      return Status::error(std::string("the tokenizer's pattern cannot be matched: ") +
                           reinterpret_cast<char *>(message));
    }
    const PCRE2_SIZE *match = pcre2_get_ovector_pointer(data.get());
    if (match[1] > match[0])
      found(match[0], match[1]);
    // An empty match goes on at the next character.
    at = match[1] > match[0]      ? match[1]
         : match[1] < text.size() ? match[1] + characterAt(text, match[1]).size
                                  : text.size();
  }
  return Status();
}

} // namespace pianola
