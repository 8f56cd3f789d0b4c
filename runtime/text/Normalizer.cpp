// Normalizer.cpp - what a tokenizer makes of text before it splits it.
#include "runtime/text/Normalizer.h"

#include "runtime/text/JsonParts.h"
#include "runtime/text/Pattern.h"
#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

#include <utf8proc.h>

namespace pianola {

using nlohmann::json;

static Result<std::string> mapped(std::string_view text, int options) {
  utf8proc_uint8_t *out = nullptr;
  utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &out,
                                       static_cast<utf8proc_option_t>(options));
  if (size < 0)
    return Status::error(std::string("text cannot be normalised: ") + utf8proc_errmsg(size));
  std::string result(reinterpret_cast<const char *>(out), size);
  free(out);
  return result;
}

static bool isAscii(std::string_view text) {
  for (char c : text)
    if (static_cast<uint8_t>(c) >= 0x80)
      return false;
  return true;
}

// A normalisation form of Unicode.
static Result<std::string> toForm(std::string text, int options) {
  if (isAscii(text))
    return text;
  // utf8proc 2.8 takes U+11A7 for a trailing jamo and composes it away (the first is U+11A8). It
  // composes with nothing, so text is normalised between such characters.
  constexpr std::string_view kNotTrailing = "\xe1\x86\xa7";
  std::string result;
  for (size_t from = 0;;) {
    size_t at = text.find(kNotTrailing, from);
    Result<std::string> part = mapped(std::string_view(text).substr(from, at - from), options);
    if (!part)
      return part;
    result += *part;
    if (at == std::string::npos)
      return result;
    result += kNotTrailing;
    from = at + kNotTrailing.size();
  }
}

// Lower case character by character (Unicode's full mapping, without its conditions).
static std::string lowered(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    i += c.size;
    // The one character whose lower case is two.
    if (c.code == 0x130)
      result += "i\xcc\x87";
    else
      result += encodeCharacter(
          static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code))));
  }
  return result;
}

static std::string stripped(std::string_view text, bool left, bool right) {
  while (left && !text.empty() && isWhiteSpace(characterAt(text, 0).code))
    text.remove_prefix(characterAt(text, 0).size);
  while (right && !text.empty()) {
    size_t last = characterBefore(text, text.size());
    if (!isWhiteSpace(characterAt(text, last).code))
      break;
    text = text.substr(0, last);
  }
  return std::string(text);
}

Result<Normalizer> Normalizer::fromJson(const json &value, const std::string &path) {
  Normalizer normalizer;
  if (value.is_null())
    return normalizer;
  auto add = [&](Step step) {
    normalizer.steps.push_back(std::move(step));
    return Status();
  };
  auto addForm = [&](int options) {
    return add([=](std::string text) { return toForm(std::move(text), options); });
  };
  auto read = [&](const json &part, const std::string &where) -> Status {
    std::string type = typeOf(part);
    if (type == "NFC")
      return addForm(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (type == "NFD")
      return addForm(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
    if (type == "NFKC")
      return addForm(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (type == "NFKD")
      return addForm(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
    if (type == "Lowercase")
      return add([](std::string text) -> Result<std::string> { return lowered(text); });
    if (type == "Strip") {
      Result<bool> left = flag(part, "strip_left", true, where);
      Result<bool> right = flag(part, "strip_right", true, where);
      if (!left || !right)
        return left ? right.status() : left.status();
      return add([left = *left, right = *right](std::string text) -> Result<std::string> {
        return stripped(text, left, right);
      });
    }
    if (type == "Prepend") {
      Result<std::string> what = text(part, "prepend", where);
      if (!what)
        return what.status();
      return add([what = *what](std::string text) -> Result<std::string> {
        return text.empty() ? text : what + text;
      });
    }
    if (type == "Replace") {
      Result<Pattern> pattern = Pattern::fromJson(member(part, "pattern"), where + ".pattern");
      Result<std::string> content = text(part, "content", where);
      if (!pattern || !content)
        return pattern ? content.status() : pattern.status();
      return add([pattern = *pattern, content = *content](std::string text) {
        return pattern.replaceAll(text, content);
      });
    }
    return unknownType(part, where,
                       "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, Sequence");
  };
  if (Status status = eachPart(value, "normalizers", path, read); !status.ok())
    return status;
  return normalizer;
}

Result<std::string> Normalizer::apply(std::string text) const {
  for (const Step &step : steps) {
    Result<std::string> next = step(std::move(text));
    if (!next)
      return next;
    text = std::move(*next);
  }
  return text;
}

} // namespace pianola
