// Unicode.h - classes of characters.
#ifndef PIANOLA_RUNTIME_TEXT_UNICODE_H
#define PIANOLA_RUNTIME_TEXT_UNICODE_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pianola {

/// White_Space (Unicode 15, PropList.txt).
bool isWhiteSpace(uint32_t character);

/// \w: letters, marks, decimal numbers, connectors (UTS 18, annex C), and letter numbers.
bool isWordCharacter(uint32_t character);

/// General categories Nd, Nl and No.
bool isNumber(uint32_t character);

/// ASCII's punctuation and general categories P*.
bool isPunctuation(uint32_t character);

/// The start of the character that ends at `at`, which is not 0.
size_t characterBefore(std::string_view text, size_t at);

} // namespace pianola

#endif
