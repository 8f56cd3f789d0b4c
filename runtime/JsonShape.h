// JsonShape.h - what it would take to read a JSON text, asked before anything does.
#ifndef PIANOLA_RUNTIME_JSONSHAPE_H
#define PIANOLA_RUNTIME_JSONSHAPE_H

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pianola {

struct JsonShape {
  size_t depth = 0; // how many brackets are open at once, at most: what reading recurses over
  /// nlohmann::ordered_json compares each key with those before it in its object: so many
  /// comparisons.
  uint64_t lookups = 0;
};

/// The text need not be JSON.
inline JsonShape jsonShape(std::string_view text) {
  JsonShape shape;
  size_t open = 0;
  // Of each bracket that is open, and of what is outside of all. Those within the last share it:
  // such a text is refused for its depth.
  std::array<uint64_t, 1024> keys{};
  auto innermost = [&]() -> uint64_t & { return keys[std::min(open, keys.size() - 1)]; };
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
      shape.depth = std::max(shape.depth, ++open);
      innermost() = 0;
    } else if ((c == ']' || c == '}') && open > 0) {
      --open;
    } else if (c == ':') {
      shape.lookups += innermost()++;
    }
  }
  return shape;
}

} // namespace pianola

#endif
