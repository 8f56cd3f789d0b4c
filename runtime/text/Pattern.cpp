// Pattern.cpp - what tokenizers look for in text: texts, and regular expressions.
#include "runtime/text/Pattern.h"

#include "runtime/text/JsonParts.h"
#include "runtime/text/Utf8.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace pianola {

using Clock = std::chrono::steady_clock;

// Starts of matches that are tried between two looks at the clock, and the work for each: a bound
// on the time of both together, which ordinary expressions stay far from.
static constexpr size_t kStarts = 64;
static constexpr uint32_t kWorkOfStart = 1'000'000;
static constexpr std::chrono::seconds kLongest(5);

// Oniguruma's \w: Alphabetic, marks, decimal numbers, connectors; and, but in brackets, the numbers
// of Latin-1.
#define WORD_IN_CLASS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD WORD_IN_CLASS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

// The expression as PCRE2 reads it, or an error for what it would read otherwise.
static Result<std::string> rewrite(const std::string &expression) {
  std::string result;
  bool inClass = false;
  auto refuse = [&](size_t at, const std::string &what) {
    return Status::error("the expression has " + what + " at character " + std::to_string(at) +
                         ", which is not supported");
  };
  for (size_t i = 0; i < expression.size(); ++i) {
    char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      char next = expression[++i];
      if (next == 's')
        result += "\\p{White_Space}";
      else if (next == 'S')
        result += "\\P{White_Space}";
      else if (next == 'w')
        result += inClass ? WORD_IN_CLASS : "[" WORD "]";
      else if (next == 'W' && !inClass)
        result += "[^" WORD "]";
      else if (next == 'b' && !inClass)
        result += "(?:(?<=[" WORD "])(?![" WORD "])|(?<![" WORD "])(?=[" WORD "]))";
      else if (next == 'B' && !inClass)
        result += "(?:(?<=[" WORD "])(?=[" WORD "])|(?<![" WORD "])(?![" WORD "]))";
      else if (std::strchr(inClass ? "WhH" : "hH", next))
        return refuse(i - 1, {'\\', next});
      else
        result += {'\\', next};
      // \p{...}, \x{...}
      size_t end =
          expression.compare(i + 1, 1, "{") == 0 ? expression.find('}', i) : std::string::npos;
      if (end != std::string::npos) {
        result.append(expression, i + 1, end - i);
        i = end;
      }
      continue;
    }
    result += c;
    if (inClass) {
      // [:alpha:] does not end a class.
      size_t end = c == '[' && expression.compare(i, 2, "[:") == 0 ? expression.find(":]", i)
                                                                   : std::string::npos;
      if (end != std::string::npos) {
        result.append(expression, i + 1, end + 1 - i);
        i = end + 1;
      } else if (c == '[') {
        return refuse(i, "brackets in brackets");
      } else if (c == '&' && expression.compare(i, 2, "&&") == 0) {
        return refuse(i, "&& in brackets");
      } else if (c == ']') {
        inClass = false;
      }
      continue;
    }
    if (c == '[') {
      inClass = true;
      // A bracket that closes is a character where it comes first.
      for (char first : {'^', ']'})
        if (i + 1 < expression.size() && expression[i + 1] == first)
          result += expression[++i];
    } else if (c == '}' && i + 1 < expression.size() && expression[i + 1] == '+') {
      return refuse(i, "+ after a count");
    } else if (expression.compare(i, 3, "(?m") == 0) {
      return refuse(i, "(?m");
    }
  }
  return result;
}

Result<Pattern> Pattern::compile(const std::string &expression) {
  Result<std::string> rewritten = rewrite(expression);
  if (!rewritten)
    return rewritten.status();
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code *compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(rewritten->data()), rewritten->size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
      &error, &at, nullptr);
  if (!compiled) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    return Status::error("the expression cannot be compiled, at character " + std::to_string(at) +
                         ": " + reinterpret_cast<char *>(message));
  }
  // Where there is no JIT the interpreter does the same, slower.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  Pattern pattern;
  pattern.code = std::shared_ptr<void>(
      compiled, [](void *p) { pcre2_code_free(static_cast<pcre2_code *>(p)); });
  return pattern;
}

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.word = std::move(text);
  return pattern;
}

Result<Pattern> Pattern::fromJson(const nlohmann::json &json, const std::string &path) {
  if (const nlohmann::json &word = member(json, "String"); word.is_string())
    return literal(word.get<std::string>());
  const nlohmann::json &expression = member(json, "Regex");
  if (!expression.is_string())
    return Status::error(path + ": expected {\"Regex\": ...} or {\"String\": ...}");
  Result<Pattern> pattern = compile(expression.get<std::string>());
  return pattern ? pattern : Status::error(path + ": " + pattern.message());
}

namespace {

// What a thread needs for matching, made once.
class Matcher {
public:
  Matcher()
      : data(pcre2_match_data_create(1, nullptr)), context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 << 10, 8 << 20, nullptr)) {
    if (!ready())
      return;
    pcre2_set_match_limit(context, kWorkOfStart);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  Matcher(const Matcher &) = delete;
  ~Matcher() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  bool ready() const { return data && context && stack; }

  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
};

} // namespace

Status Pattern::findExpression(std::string_view text,
                               const std::function<void(size_t, size_t)> &found) const {
  thread_local Matcher matcher;
  if (!matcher.ready())
    return Status::error("out of memory");
  auto *compiled = static_cast<const pcre2_code *>(code.get());
  Clock::time_point end;
  size_t untilLook = 16;
  size_t lastEnd = 0;
  bool hasLast = false;
  for (size_t at = 0; at <= text.size();) {
    pcre2_set_offset_limit(matcher.context, at + kStarts);
    int count = pcre2_match(compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                            PCRE2_NO_UTF_CHECK, matcher.data, matcher.context);
    if (count == PCRE2_ERROR_NOMATCH || --untilLook == 0) {
      untilLook = 16;
      Clock::time_point now = Clock::now();
      if (end == Clock::time_point())
        end = now + kLongest;
      else if (now > end)
        return Status::error("the tokenizer's pattern takes too long for this text");
    }
    if (count == PCRE2_ERROR_NOMATCH) {
      at += kStarts + 1;
      while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80)
        ++at;
      continue;
    }
    if (count < 0) {
      PCRE2_UCHAR message[256];
      pcre2_get_error_message(count, message, sizeof(message));
      return Status::error(std::string("the tokenizer's pattern cannot be matched: ") +
                           reinterpret_cast<char *>(message));
    }
    const PCRE2_SIZE *match = pcre2_get_ovector_pointer(matcher.data);
    bool isEmpty = match[1] <= match[0];
    if (!isEmpty || !hasLast || match[1] != lastEnd)
      found(match[0], std::max(match[0], match[1]));
    hasLast = true;
    lastEnd = at = match[1];
    if (isEmpty) // go on at the next character
      at += at < text.size() ? characterAt(text, at).size : 1;
  }
  return Status();
}

Status Pattern::findAll(std::string_view text,
                        const std::function<void(size_t, size_t)> &found) const {
  if (code)
    return findExpression(text, found);
  if (word.empty())
    return Status();
  for (size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; at += word.size())
    found(at, at + word.size());
  return Status();
}

Result<std::string> Pattern::replaceAll(const std::string &text, const std::string &content) const {
  std::string result;
  size_t done = 0;
  Status status = findAll(text, [&](size_t begin, size_t end) {
    result.append(text, done, begin - done);
    result += content;
    done = end;
  });
  if (!status.ok())
    return status;
  return result.append(text, done);
}

} // namespace pianola
