// Characters.cpp - what Python's methods ask of characters.
#include "runtime/template/Characters.h"

#include "runtime/template/Filters.h"
#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

#include <utf8proc.h>

namespace pianola::templates {

static int32_t codeOf(uint32_t c) { return static_cast<int32_t>(c); }

static bool isSpaceCode(uint32_t c) { return isWhiteSpace(c) || (c >= 0x1c && c <= 0x1f); }

bool isSpace(std::string_view character) {
  return !character.empty() && isSpaceCode(characterAt(character, 0).code);
}

bool isWordAt(std::string_view text, size_t at) {
  return isWordCharacter(characterAt(text, at).code);
}

std::vector<std::pair<size_t, size_t>> splitLines(std::string_view text) {
  std::vector<std::pair<size_t, size_t>> lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    size_t end = i + c.size;
    bool isEnd = (c.code >= 0x0a && c.code <= 0x0d) || (c.code >= 0x1c && c.code <= 0x1e) ||
                 c.code == 0x85 || c.code == 0x2028 || c.code == 0x2029;
    if (isEnd) {
      if (c.code == '\r' && text.substr(end, 1) == "\n")
        ++end;
      lines.emplace_back(begin, i);
      begin = end;
    }
    i = end;
  }
  if (begin < text.size())
    lines.emplace_back(begin, text.size());
  return lines;
}

static bool isOf(uint32_t c, CharacterClass wanted) {
  utf8proc_category_t category = utf8proc_category(codeOf(c));
  bool isDecimal = category == UTF8PROC_CATEGORY_ND;
  bool isAlpha = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
  // Superscripts, subscripts and digits in circles.
  bool isDigit = isDecimal || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 ||
                 (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
                 (c >= 0x2460 && c <= 0x2468);
  switch (wanted) {
  case CharacterClass::Digit:
    return isDigit;
  case CharacterClass::Decimal:
    return isDecimal;
  case CharacterClass::Numeric:
    return isNumber(c);
  case CharacterClass::Alpha:
    return isAlpha;
  case CharacterClass::Alnum:
    return isAlpha || isNumber(c);
  case CharacterClass::Space:
    return isSpaceCode(c);
  }
  return false;
}

bool allAre(std::string_view text, CharacterClass wanted) {
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    if (!isOf(c.code, wanted))
      return false;
    i += c.size;
  }
  return !text.empty();
}

//===----------------------------------------------------------------------===//
// Case
//===----------------------------------------------------------------------===//

static std::string upperOf(uint32_t c) {
  switch (c) { // those that become several (SpecialCasing.txt), as far as languages use them
  case 0xdf:
    return "SS";
  case 0x149:
    return "\xca\xbcN";
  case 0xfb00:
    return "FF";
  case 0xfb01:
    return "FI";
  case 0xfb02:
    return "FL";
  case 0xfb03:
    return "FFI";
  case 0xfb04:
    return "FFL";
  case 0xfb05:
  case 0xfb06:
    return "ST";
  default:
    return encodeCharacter(static_cast<uint32_t>(utf8proc_toupper(codeOf(c))));
  }
}

static std::string lowerOf(uint32_t c) {
  if (c == 0x130)
    return "i\xcc\x87";
  return encodeCharacter(static_cast<uint32_t>(utf8proc_tolower(codeOf(c))));
}

static bool isUpperCode(uint32_t c) {
  return utf8proc_category(codeOf(c)) == UTF8PROC_CATEGORY_LU ||
         static_cast<uint32_t>(utf8proc_tolower(codeOf(c))) != c;
}
static bool isLowerCode(uint32_t c) {
  return utf8proc_category(codeOf(c)) == UTF8PROC_CATEGORY_LL ||
         static_cast<uint32_t>(utf8proc_toupper(codeOf(c))) != c;
}
static bool isCased(uint32_t c) {
  return isUpperCode(c) || isLowerCode(c) || utf8proc_category(codeOf(c)) == UTF8PROC_CATEGORY_LT;
}

// Calls `take(code, at, end)` for each character.
template <typename Take> static void eachCharacter(std::string_view text, Take take) {
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    take(c.code, i, i + c.size);
    i += c.size;
  }
}

std::string upper(std::string_view text) {
  std::string result;
  eachCharacter(text, [&](uint32_t c, size_t, size_t) { result += upperOf(c); });
  return result;
}

// A sigma at the end of a word has a form of its own.
static bool isFinalSigma(std::string_view text, size_t begin, size_t end) {
  bool afterLetter = begin > 0 && isCased(characterAt(text, characterBefore(text, begin)).code);
  return afterLetter && (end == text.size() || !isCased(characterAt(text, end).code));
}

std::string lower(std::string_view text) {
  std::string result;
  eachCharacter(text, [&](uint32_t c, size_t begin, size_t end) {
    result += c == 0x3a3 && isFinalSigma(text, begin, end) ? "\xcf\x82" : lowerOf(c);
  });
  return result;
}

std::string titled(std::string_view text) {
  std::string result;
  bool wasCased = false;
  eachCharacter(text, [&](uint32_t c, size_t, size_t) {
    result +=
        wasCased ? lowerOf(c) : encodeCharacter(static_cast<uint32_t>(utf8proc_totitle(codeOf(c))));
    wasCased = isCased(c);
  });
  return result;
}

std::string capitalised(std::string_view text) {
  if (text.empty())
    return {};
  Character first = characterAt(text, 0);
  return encodeCharacter(static_cast<uint32_t>(utf8proc_totitle(codeOf(first.code)))) +
         lower(text.substr(first.size));
}

std::string caseSwapped(std::string_view text) {
  std::string result;
  eachCharacter(text, [&](uint32_t c, size_t, size_t) {
    result += isUpperCode(c) ? lowerOf(c) : upperOf(c);
  });
  return result;
}

std::string caseFolded(std::string_view text) {
  std::string result;
  eachCharacter(text, [&](uint32_t c, size_t, size_t) {
    if (c == 0xdf)
      result += "ss";
    else
      result += c == 0x3c2 ? "\xcf\x83" : lowerOf(c);
  });
  return result;
}

static bool allHaveCase(std::string_view text, bool (*wanted)(uint32_t)) {
  bool any = false, all = true;
  eachCharacter(text, [&](uint32_t c, size_t, size_t) {
    any |= isCased(c);
    all &= !isCased(c) || wanted(c);
  });
  return any && all;
}

bool isAllUpper(std::string_view text) { return allHaveCase(text, isUpperCode); }
bool isAllLower(std::string_view text) { return allHaveCase(text, isLowerCode); }

} // namespace pianola::templates
