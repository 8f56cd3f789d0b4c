// Characters.h - what Python's methods ask of characters.
#ifndef PIANOLA_RUNTIME_TEMPLATE_CHARACTERS_H
#define PIANOLA_RUNTIME_TEMPLATE_CHARACTERS_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pianola::templates {

/// str.isspace of one character.
bool isSpace(std::string_view character);
/// \w
bool isWordAt(std::string_view text, size_t at);

/// Begin and end of each line, without what ends it; all of Python's ends of lines count.
std::vector<std::pair<size_t, size_t>> splitLines(std::string_view text);

enum class CharacterClass { Digit, Decimal, Numeric, Alpha, Alnum, Space };
/// str.isdigit and the like: all characters are of the class, and there are some.
bool allAre(std::string_view text, CharacterClass wanted);

/// str.title, str.swapcase and str.casefold.
std::string titled(std::string_view text);
std::string caseSwapped(std::string_view text);
std::string caseFolded(std::string_view text);
/// str.isupper and str.islower.
bool isAllUpper(std::string_view text);
bool isAllLower(std::string_view text);

} // namespace pianola::templates

#endif
