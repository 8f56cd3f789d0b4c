// StopStrings.h - finds where a text that comes in pieces has to end.
#ifndef PIANOLA_RUNTIME_TEXT_STOPSTRINGS_H
#define PIANOLA_RUNTIME_TEXT_STOPSTRINGS_H

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pianola {

/// A text ends where a stop string is first complete, and before that string; of several that are
/// complete there, before the longest. Where the pieces begin and end makes no difference.
class StopStrings {
public:
  /// None of them may be empty.
  explicit StopStrings(const std::vector<std::string> &strings);

  /// What this piece adds to the text that is sure to be before any stop; may be empty.
  std::string feed(std::string_view piece);
  /// What is left when no more pieces come.
  std::string finish();

  bool isFound() const { return found; }

private:
  // Knuth, Morris and Pratt: where to go on in a string after what differs.
  struct Search {
    std::string string;
    std::vector<size_t> borders; // of the first i bytes: the longest end that is a beginning
    size_t matched = 0;          // bytes of the string that the text ends with
  };
  std::vector<Search> searches;
  std::string held;
  bool found = false;
};

} // namespace pianola

#endif
