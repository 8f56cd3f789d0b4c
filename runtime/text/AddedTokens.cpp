// AddedTokens.cpp - tokens that are found in text before anything else.
#include "runtime/text/AddedTokens.h"

#include "runtime/text/Utf8.h"

#include <algorithm>
#include <utf8proc.h>

namespace pianola {

// White_Space (Unicode 15, PropList.txt).
static bool isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

// \w: letters, marks, decimal numbers, connectors (UTS 18, annex C), and letter numbers.
static bool isWord(uint32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC:
    return true;
  default:
    return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9);
  }
}

// The start of the character before `at`.
static size_t before(std::string_view text, size_t at) {
  do
    --at;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80);
  return at;
}

void AddedTokens::add(AddedToken token) {
  if (token.content.empty())
    return;
  std::vector<uint32_t> &list = byFirst[static_cast<uint8_t>(token.content[0])];
  auto shorter = std::find_if(list.begin(), list.end(), [&](uint32_t other) {
    return tokens[other].content.size() < token.content.size();
  });
  list.insert(shorter, static_cast<uint32_t>(tokens.size()));
  tokens.push_back(std::move(token));
}

const AddedToken *AddedTokens::longestAt(std::string_view text, size_t at, bool normalized,
                                         bool withSpecial) const {
  for (uint32_t number : byFirst[static_cast<uint8_t>(text[at])]) {
    const AddedToken &token = tokens[number];
    if (token.normalized == normalized && (withSpecial || !token.special) &&
        text.substr(at, token.content.size()) == token.content)
      return &token;
  }
  return nullptr;
}

std::vector<Segment> AddedTokens::split(std::string_view text, bool normalized,
                                        bool withSpecial) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken *token = longestAt(text, at, normalized, withSpecial);
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->singleWord) {
      bool wordBefore = begin > 0 && isWord(characterAt(text, before(text, begin)).code);
      bool wordAfter = end < text.size() && isWord(characterAt(text, end).code);
      if (wordBefore || wordAfter)
        continue;
    }
    if (token->lstrip)
      while (begin > done && isSpace(characterAt(text, before(text, begin)).code))
        begin = before(text, begin);
    if (token->rstrip)
      while (end < text.size() && isSpace(characterAt(text, end).code))
        end += characterAt(text, end).size;
    // A token may start in white space that the one before has swallowed.
    begin = std::max(begin, done);
    if (begin > done)
      segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size())
    segments.push_back({text.substr(done), -1});
  return segments;
}

} // namespace pianola
