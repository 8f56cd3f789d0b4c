// JsonLookups.h - how long it would take to read a JSON text into objects that keep their order.
#ifndef PIANOLA_RUNTIME_JSONLOOKUPS_H
#define PIANOLA_RUNTIME_JSONLOOKUPS_H

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pianola {

/// nlohmann::ordered_json compares each key with those before it in its object: so many
/// comparisons. The text need not be JSON.
inline uint64_t jsonLookups(std::string_view text) {
  uint64_t lookups = 0;
  std::vector<uint64_t> keys{0}; // of each bracket that is open
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
      keys.push_back(0);
    } else if ((c == ']' || c == '}') && keys.size() > 1) {
      keys.pop_back();
    } else if (c == ':') {
      lookups += keys.back()++;
    }
  }
  return lookups;
}

} // namespace pianola

#endif
