// StopStrings.cpp - finds where a text that comes in pieces has to end.
#include "runtime/text/StopStrings.h"

#include <algorithm>

namespace pianola {

// Bytes of `string` that a text ends with after one more byte, if it ended with `matched` before.
static size_t advance(const std::string &string, const std::vector<size_t> &borders, size_t matched,
                      char byte) {
  while (matched > 0 && (matched == string.size() || string[matched] != byte))
    matched = borders[matched];
  return matched + (string[matched] == byte);
}

StopStrings::StopStrings(const std::vector<std::string> &strings) {
  for (const std::string &string : strings) {
    std::vector<size_t> borders(string.size() + 1, 0);
    for (size_t i = 1; i < string.size(); ++i)
      borders[i + 1] = advance(string, borders, borders[i], string[i]);
    searches.push_back({string, std::move(borders)});
  }
}

std::string StopStrings::feed(std::string_view piece) {
  if (found)
    return {};
  size_t longest = 0; // that the text ends with, of any string
  for (size_t i = 0; i < piece.size() && !found; ++i) {
    held += piece[i];
    longest = 0;
    for (Search &search : searches) {
      search.matched = advance(search.string, search.borders, search.matched, piece[i]);
      bool isWhole = search.matched == search.string.size();
      if (isWhole && !found)
        longest = 0; // what is not complete does not count any more
      if (isWhole || !found)
        longest = std::max(longest, search.matched);
      found |= isWhole;
    }
  }
  std::string text = held.substr(0, held.size() - longest);
  held.erase(0, text.size());
  if (found)
    held.clear();
  return text;
}

std::string StopStrings::finish() {
  std::string rest;
  std::swap(rest, held);
  for (Search &search : searches)
    search.matched = 0;
  return rest;
}

} // namespace pianola
