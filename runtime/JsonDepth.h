// JsonDepth.h - how deep a JSON text is nested, asked before anything recurses over it.
#ifndef PIANOLA_RUNTIME_JSONDEPTH_H
#define PIANOLA_RUNTIME_JSONDEPTH_H

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace pianola {

/// How many brackets outside of strings are open at once, at most. The text need not be JSON.
inline size_t jsonDepth(std::string_view text) {
  size_t depth = 0, deepest = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

} // namespace pianola

#endif
