// Utf8.h - reading and repairing UTF-8.
#ifndef PIANOLA_RUNTIME_TEXT_UTF8_H
#define PIANOLA_RUNTIME_TEXT_UTF8_H

#include <cstdint>
#include <string>
#include <string_view>

namespace pianola {

/// The character that starts at `at`. `size` is its bytes; for invalid input `code` is U+FFFD and
/// `size` the maximal invalid part (Unicode 15, section 3.9), and `cut` says that the text ended in
/// the middle of a character that began well.
struct Character {
  uint32_t code;
  uint32_t size;
  bool valid;
  bool cut;
};
Character characterAt(std::string_view text, size_t at);

/// The first byte that is not part of valid UTF-8, or npos.
size_t findInvalid(std::string_view text);

/// The character in one to four bytes; `code` must be a scalar value.
std::string encodeCharacter(uint32_t code);

/// Each maximal invalid part becomes one U+FFFD.
std::string repair(std::string_view text);

} // namespace pianola

#endif
