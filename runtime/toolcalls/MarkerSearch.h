// MarkerSearch.h - looks for one of a few texts in what comes byte by byte.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_MARKERSEARCH_H
#define PIANOLA_RUNTIME_TOOLCALLS_MARKERSEARCH_H

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pianola {

/// No marker is the beginning of another one, or empty.
class MarkerSearch {
public:
  MarkerSearch() = default;
  explicit MarkerSearch(std::vector<std::string> markers) : markers(std::move(markers)) {}

  /// Which marker ends with this byte, if one does. What cannot begin a marker any more is added to
  /// `passed`.
  std::optional<size_t> feed(char c, std::string &passed) {
    // Most text is nowhere near a marker.
    if (text.empty() && std::none_of(markers.begin(), markers.end(),
                                     [&](const std::string &each) { return each[0] == c; })) {
      passed += c;
      return std::nullopt;
    }
    text += c;
    size_t done = 0;
    std::optional<size_t> found;
    for (; done < text.size(); ++done) {
      std::string_view rest = std::string_view(text).substr(done);
      auto marker = std::find_if(markers.begin(), markers.end(), [&](const std::string &each) {
        return each.compare(0, rest.size(), rest) == 0;
      });
      if (marker == markers.end())
        continue;
      if (marker->size() == rest.size())
        found = marker - markers.begin();
      break;
    }
    passed.append(text, 0, done);
    text.erase(0, found ? text.size() : done);
    return found;
  }

  bool isEmpty() const { return markers.empty(); }
  /// What may be the beginning of a marker.
  const std::string &held() const { return text; }
  std::string take() { return std::exchange(text, {}); }
  const std::string &operator[](size_t index) const { return markers[index]; }

private:
  std::vector<std::string> markers;
  std::string text;
};

} // namespace pianola

#endif
