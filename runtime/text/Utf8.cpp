// Utf8.cpp - reading and repairing UTF-8.
#include "runtime/text/Utf8.h"

namespace pianola {

Character characterAt(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  uint8_t first = byte(at);
  if (first < 0x80)
    return {first, 1, true, false};
  // Bounds of the second byte exclude overlong forms, surrogates, and what lies beyond U+10FFFF
  // (Unicode 15, table 3-7).
  uint32_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  uint8_t low = 0x80, high = 0xbf;
  if (first == 0xe0)
    low = 0xa0;
  else if (first == 0xed)
    high = 0x9f;
  else if (first == 0xf0)
    low = 0x90;
  else if (first == 0xf4)
    high = 0x8f;
  if (first < 0xc2 || first > 0xf4)
    return {0xfffd, 1, false, false};
  uint32_t code = first & (0xff >> (length + 1));
  for (uint32_t i = 1; i < length; ++i) {
    if (at + i >= text.size())
      return {0xfffd, i, false, true};
    uint8_t next = byte(at + i);
    if (next < low || next > high)
      return {0xfffd, i, false, false};
    code = code << 6 | (next & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  return {code, length, true, false};
}

size_t findInvalid(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    if (!c.valid)
      return i;
    i += c.size;
  }
  return std::string_view::npos;
}

std::string encodeCharacter(uint32_t code) {
  auto byte = [](uint32_t bits) { return static_cast<char>(bits); };
  auto more = [&](uint32_t shift) { return byte(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80)
    return {byte(code)};
  if (code < 0x800)
    return {byte(0xc0 | code >> 6), more(0)};
  if (code < 0x10000)
    return {byte(0xe0 | code >> 12), more(6), more(0)};
  return {byte(0xf0 | code >> 18), more(12), more(6), more(0)};
}

std::string repair(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    Character c = characterAt(text, i);
    if (c.valid)
      result += text.substr(i, c.size);
    else
      result += "\xef\xbf\xbd";
    i += c.size;
  }
  return result;
}

} // namespace pianola
